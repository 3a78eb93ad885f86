"""Known files to which something happened that may have changed their content, though size and mtime are as before.

New names and rights give a file another ctime; so does who writes it and dates it back. What a name explains needs no
reading; all else is read again when nothing else is to do, and keeps what is known of it until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from modelkeep.disk.files import fingerprints_of
from modelkeep.domain.reconcile import is_explained, is_touched
from modelkeep.domain.values import Fingerprint, Location
from modelkeep.watch.context import ROWS_MAX, Context


class Touched:
    """Decides which touched files have to be read again.

    Args:
        context: what is known, who is told, and how one looks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def doubt(self, paths: Sequence[str]) -> None:
        """Have known files read again."""
        for start in range(0, len(paths), ROWS_MAX):
            await self._context.catalogue.doubt(paths[start : start + ROWS_MAX], self._context.clock_ms())
        if paths:
            self._context.line.doubted(paths)

    async def review(self, paths: Iterable[str], *, doubts: bool = True) -> None:
        """Look at touched files again, and record what became of each.

        Args:
            paths: of known files.
            doubts: have those read again that no name explains; else the next scan does, should no event explain them
                meanwhile.
        """
        waiting = sorted(paths)
        for start in range(0, len(waiting), ROWS_MAX):
            doubtful = await self._trust(waiting[start : start + ROWS_MAX])
            await self.doubt(doubtful if doubts else ())

    async def _trust(self, paths: Sequence[str]) -> list[str]:
        """Take over the new times that names explain; returns the other touched paths."""
        present = await self._context.looks.found(fingerprints_of, paths)
        known = await self._context.catalogue.locations_at(list(present))
        touched = {
            path: (location, present[path])
            for path, location in known.items()
            if present[path].same_file_at_same_path(location.fingerprint) and is_touched(location, present[path])
        }
        if not touched:
            return []
        self._context.record_returned(location for location, _ in touched.values())
        others = await self._context.catalogue.twins_of({status for _, status in touched.values()})
        explained = await self._context.looks.found(partial(self._explained, touched, others), touched)
        for path in explained:
            self._context.disk.trust(path)
        if explained:
            await self._context.catalogue.set_seen(explained, self._context.clock_ms())
        return [path for path in touched if path not in explained]

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
