"""Note which files are gone; not those whose drive or root is: of what lies there nobody knows."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprints_of, why_unseen
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.mounts import is_unplugged, mounted_devices
from modelkeep.domain.values import Fingerprint, Location, Record
from modelkeep.watch.line import Line

ROWS_MAX = 2_000
"""Rows written in one transaction: others want to write too."""


class Absences:
    """Notes which files are gone.

    Args:
        catalogue: is told.
        line: lets go of them.
        note: appends records to the journal.
        clock_ms: milliseconds since 1970.
        look_beside: looks at the links to files that are gone.
        looks: looks at paths of the roots.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        line: Line,
        note: Callable[[Sequence[Record]], object],
        clock_ms: Callable[[], int],
        look_beside: Callable[[Collection[Fingerprint], Collection[str]], Awaitable[None]],
        looks: DiskLooks,
    ) -> None:
        self._looks = looks
        self._catalogue = catalogue
        self._line = line
        self._note = note
        self._roots = looks.roots
        self._clock_ms = clock_ms
        self._look_beside = look_beside

    async def note(self, paths: Sequence[str]) -> None:
        """Note that files are gone; those that are there after all are not."""
        if not paths:
            return
        absent = [path for part in await self._looks.by_root(self._absent, paths) for path in part]
        absent = await self._without_unplugged(absent)
        for path in absent:
            self._line.gone(path)
        for start in range(0, len(absent), ROWS_MAX):
            await self._note_missing(absent[start : start + ROWS_MAX])

    async def _note_missing(self, paths: Sequence[str]) -> None:
        changed = await self._catalogue.set_missing(paths, "the file is gone", self._clock_ms())
        self._tell(changed, "no file there any more")
        await self._look_beside({place.fingerprint for place in changed if place.fingerprint}, paths)

    def _absent(self, paths: Sequence[str]) -> list[str]:
        """Leave out what is there, and what lies in roots that are not."""
        absent = list(paths)
        for _ in range(2):  # a root may be away for the moment between the two looks, and back at the second
            absent = self.in_same_roots(_without_files(absent))
        return absent

    def in_same_roots(self, paths: Sequence[str]) -> list[str]:
        """Leave out what lies in roots that are not there themselves, or have another folder in their place."""
        root_by_path = {path: self._roots.of(path) for path in paths}
        there = {root: root is None or self._roots.is_same(root) for root in set(root_by_path.values())}
        return [path for path in paths if there[root_by_path[path]]]

    async def _without_unplugged(self, paths: Sequence[str]) -> list[str]:
        """Note which files lay on a drive that is not mounted any more; returns those that did not."""
        known = await self._catalogue.locations_at(paths) if paths else {}
        unplugged = {
            path
            for part in await self._looks.by_root(lambda group: _unplugged(known[path] for path in group), known)
            for path in part
        }
        if unplugged:
            self._tell(await self._catalogue.set_unreachable(sorted(unplugged)), "its drive is not mounted")
        return [path for path in paths if path not in unplugged]

    def _tell(self, changed: Sequence[Location], cause: str) -> None:
        self._note(
            [("file.missing", {"path": place.path, "sha256": place.sha256, "cause": cause}) for place in changed]
        )


def _without_files(paths: Sequence[str]) -> list[str]:
    """Leave out where a file lies, or where nobody can tell."""
    present = fingerprints_of(paths)
    return [path for path in paths if path not in present and not why_unseen(path)]


def _unplugged(places: Iterable[Location]) -> set[str]:
    seen = [place for place in places if place.fingerprint is not None]
    mounted = mounted_devices() if seen else set()
    return {
        place.path
        for place in seen
        if place.fingerprint and is_unplugged(place.path, place.fingerprint.device, mounted)
    }
