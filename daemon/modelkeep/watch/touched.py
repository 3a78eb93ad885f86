"""Known files to which something happened that may have changed their content, though size and mtime are as before.

New names and rights give a file another ctime; so does who writes it and dates it back. What a name explains needs no
reading; all else is read again when nothing else is to do, and keeps what is known of it until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.reconcile import is_explained, is_touched
from modelkeep.domain.values import Location
from modelkeep.watch.context import ROWS_MAX, Context, chunks
from modelkeep.watch.renames import is_in_place


class Touched:
    """Decides which touched files have to be read again.

    Args:
        context: what is known, who is told, and how one looks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def doubt(self, seen: Mapping[str, Fingerprint]) -> list[str]:
        """Have known files read again; returns the paths at which another one is known by now."""
        others: list[str] = []
        for chunk in chunks(seen):
            others += await self._context.catalogue.doubt(chunk, self._context.clock_ms())
        self._context.line.doubted([path for path in seen if path not in others])
        return others

    async def review(self, paths: Iterable[str], *, doubts: bool = True) -> list[str]:
        """Look at touched files again, and record what became of each.

        Returns the paths at which another file is known by now.

        Args:
            paths: of known files.
            doubts: have those read again that no name explains; else the next scan does, should no event explain them
                meanwhile.
        """
        waiting = sorted(paths)
        others: list[str] = []
        for start in range(0, len(waiting), ROWS_MAX):
            explained, doubtful = await self._divide(waiting[start : start + ROWS_MAX])
            others += (
                await self._context.catalogue.see_again(explained, self._context.clock_ms()) if explained else []
            )
            others += await self.doubt(doubtful) if doubts else []
        return others

    async def _divide(self, paths: Sequence[str]) -> tuple[dict[str, Fingerprint], dict[str, Fingerprint]]:
        """Return the touched ones of these files whose new times names explain, and the others."""
        present = await self._context.looks.found(fingerprints_of, paths)
        known = await self._context.catalogue.locations_at(paths)
        there = {path for path, status in present.items() if is_in_place(known.get(path), status)}
        touched = {path: (known[path], present[path]) for path in there if is_touched(known[path], present[path])}
        await self.distrust_written(location for path, location in known.items() if path not in there)
        if not touched:
            return {}, {}
        self._context.record_returned(location for location, _ in touched.values())
        others = await self._context.catalogue.twins_of({status for _, status in touched.values()})
        explained = await self._context.looks.found(partial(self._explained, touched, others), touched)
        for path in explained:
            self._context.disk.trust(path)
        return explained, {path: status for path, (_, status) in touched.items() if path not in explained}

    async def distrust_written(self, gone: Iterable[Location]) -> None:
        """Doubt known files that were written, and lie elsewhere by now, if anywhere: they are read when found."""
        paths = (location.path for location in gone if not location.claimed)  # a claim waits to be read anyway
        written = [path for path in paths if self._context.disk.was_written(path)]
        if written:
            await self._context.catalogue.distrust(written)
            self._context.line.doubted(written)

    def _explained(
        self,
        touched: Mapping[str, tuple[Location, Fingerprint]],
        others: Mapping[Fingerprint, Sequence[Location]],
        paths: Sequence[str],
    ) -> dict[str, Fingerprint]:
        """Return the new fingerprints of those of these touched paths whose new times names explain."""
        found: dict[str, Fingerprint] = {}
        for path in paths:
            location, status = touched[path]
            if is_explained(location, status, others.get(status, ()), self._context.disk):
                found[path] = status
        return found
