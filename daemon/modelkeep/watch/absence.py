"""Record which files are gone; not those whose drive or root is: of what lies there nobody knows."""

from collections.abc import Iterable, Sequence

from modelkeep.disk.files import fingerprints_of, why_unseen
from modelkeep.disk.mounts import is_unplugged, mounted_devices
from modelkeep.domain.values import Location
from modelkeep.watch.context import ROWS_MAX, Concerned, Context


class Absences:
    """Notes which files are gone.

    Args:
        context: what is known, who is told, and how one looks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def mark(self, paths: Sequence[str]) -> Concerned:
        """Record that files are gone; those that are there after all are not. Returns which are."""
        gone = Concerned()
        if not paths:
            return gone
        absent = [path for part in await self._context.looks.by_root(self._absent, paths) for path in part]
        absent = await self._without_unplugged(absent)
        for path in absent:
            self._context.line.gone(path)
        for start in range(0, len(absent), ROWS_MAX):
            some = absent[start : start + ROWS_MAX]
            changed = await self._context.catalogue.set_missing(some, "the file is gone", self._context.clock_ms())
            self._context.record_missing(changed, "no file there any more")
            gone.add(self._context.concerned_by(changed))
        return gone

    def _absent(self, paths: Sequence[str]) -> list[str]:
        """Leave out what is there, and what lies in roots that are not."""
        absent = list(paths)
        for _ in range(2):  # a root may be away for the moment between the two looks, and back at the second
            absent = self.in_same_roots(_without_files(absent))
        return absent

    def in_same_roots(self, paths: Sequence[str]) -> list[str]:
        """Leave out what lies in roots that are not there themselves, or have another folder in their place."""
        root_by_path = {path: self._context.roots.of(path) for path in paths}
        there = {root: root is None or self._context.roots.is_same(root) for root in set(root_by_path.values())}
        return [path for path in paths if there[root_by_path[path]]]

    async def _without_unplugged(self, paths: Sequence[str]) -> list[str]:
        """Record which files lay on a drive that is not mounted any more; returns those that did not."""
        known = await self._context.catalogue.locations_at(paths) if paths else {}
        unplugged = {
            path
            for part in await self._context.looks.by_root(
                lambda group: _unplugged(known[path] for path in group), known
            )
            for path in part
        }
        if unplugged:
            changed = await self._context.catalogue.set_unreachable(sorted(unplugged))
            self._context.record_missing(changed, "its drive is not mounted")
        return [path for path in paths if path not in unplugged]


def _without_files(paths: Sequence[str]) -> list[str]:
    """Leave out where a file lies, or where nobody can tell."""
    present = fingerprints_of(paths)
    return [path for path in paths if path not in present and not why_unseen(path)]


def _unplugged(locations: Iterable[Location]) -> set[str]:
    seen = [location for location in locations if location.fingerprint is not None]
    mounted = mounted_devices() if seen else set()
    return {
        location.path
        for location in seen
        if location.fingerprint and is_unplugged(location.path, location.fingerprint.device, mounted)
    }
