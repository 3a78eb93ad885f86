"""Known files to which something happened that may have changed their content, though size and mtime are as before.

New names and rights give a file another ctime; so does who writes it and dates it back. What a name explains needs no
reading; all else is read again when nothing else is to do, and keeps what is known of it until then.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprint_of, fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.reconcile import is_explained, is_touched
from modelkeep.domain.values import Fingerprint, Location, LocationState, Record

TRUSTED_MAX = 50_000
TRUSTED_SECONDS = 60.0
"""Within which an event is taken in, and some more."""

ROWS_MAX = 2_000
"""Rows written in one transaction: others want to write too."""


class Disk:
    """Looks at the disk, in view of the events that are being taken in: `written` and `removed` are their paths."""

    def __init__(self) -> None:
        self.written: Collection[str] = ()
        self.removed: Collection[str] = ()
        self._trusted: dict[str, float] = {}

    def trust(self, path: str) -> None:
        """Note that the new times of a file were taken for those of a rename or link."""
        self._trusted.pop(path, None)
        self._trusted[path] = time.monotonic()
        if len(self._trusted) > TRUSTED_MAX:
            del self._trusted[next(iter(self._trusted))]

    def was_written_after_all(self, path: str) -> bool:
        """Tell whether an event says that somebody wrote where the new times were taken for those of a new name.

        Files are looked at when events are taken in, and that is later than they were made.
        """
        since = self._trusted.get(path) if path in self.written else None
        return since is not None and time.monotonic() - since < TRUSTED_SECONDS

    def fingerprint_of(self, path: str) -> Fingerprint | None:
        """Return the fingerprint of the file at a path; None when there is none."""
        return fingerprint_of(path)

    def named_at(self, path: str) -> int | None:
        """Return when a name in the folder of a path was given or taken last; None for a symbolic link."""
        try:
            return None if os.path.islink(path) else os.stat(os.path.dirname(path)).st_mtime_ns
        except OSError:
            return None

    def was_written(self, path: str) -> bool:
        """Tell whether an event says that somebody wrote at a path just now."""
        return path in self.written

    def was_removed(self, path: str) -> bool:
        """Tell whether an event says that the name at a path was taken away just now."""
        return path in self.removed


class Touched:
    """Decides which touched files have to be read again.

    Args:
        catalogue: is asked and told.
        disk: looks at files.
        note: appends records to the journal.
        looks: looks at paths.
        on_doubt: is told which files have to be read again.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        disk: Disk,
        note: Callable[[Sequence[Record]], object],
        looks: DiskLooks,
        on_doubt: Callable[[Sequence[str]], None],
    ) -> None:
        self._looks = looks
        self._catalogue = catalogue
        self._disk = disk
        self._note = note
        self._on_doubt = on_doubt

    async def doubt(self, paths: Sequence[str], now_ms: int) -> None:
        """Have known files read again."""
        for start in range(0, len(paths), ROWS_MAX):
            await self._catalogue.doubt(paths[start : start + ROWS_MAX], now_ms)
        if paths:
            self._on_doubt(paths)

    async def review(self, paths: Iterable[str], now_ms: int, *, doubts: bool = True) -> None:
        """Look at touched files again, and note what became of each.

        Args:
            paths: of known files.
            now_ms: the time.
            doubts: have those read again that no name explains; else the next scan does, should no event explain them
                meanwhile.
        """
        waiting = sorted(paths)
        for start in range(0, len(waiting), ROWS_MAX):
            doubtful = await self._trust(waiting[start : start + ROWS_MAX], now_ms)
            await self.doubt(doubtful if doubts else (), now_ms)

    async def _trust(self, paths: Sequence[str], now_ms: int) -> list[str]:
        """Take over the new times that names explain; returns the other touched paths."""
        present = await self._looks.found(fingerprints_of, paths)
        known = await self._catalogue.locations_at(list(present))
        touched = {
            path: (place, present[path])
            for path, place in known.items()
            if present[path].same_file_at_same_path(place.fingerprint) and is_touched(place, present[path])
        }
        if not touched:
            return []
        back = [place for place, _ in touched.values() if place.state is LocationState.MISSING]
        self._note([("file.returned", {"path": place.path, "sha256": place.sha256}) for place in back])
        others = await self._catalogue.twins_of({status for _, status in touched.values()})
        explained = await self._looks.found(partial(self._explained, touched, others), touched)
        for path in explained:
            self._disk.trust(path)
        if explained:
            await self._catalogue.set_seen(explained, now_ms)
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
            place, status = touched[path]
            if is_explained(place, status, others.get(status, ()), self._disk):
                found[path] = status
        return found
