"""The disk, in view of the events that are being taken in: they tell why a file may have new times."""

import os
import time
from collections.abc import Collection

from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.fingerprint import Fingerprint

TRUSTED_MAX = 50_000
TRUSTED_SECONDS = 60.0
"""Within which an event is taken in, and some more."""


class Disk:
    """Looks at the disk, in view of the events that are being taken in: `written` and `removed` are their paths."""

    def __init__(self) -> None:
        self.written: Collection[str] = ()
        self.removed: Collection[str] = ()
        self._trusted: dict[str, float] = {}

    def trust(self, path: str) -> None:
        """Record that the new times of a file were taken for those of a rename or link."""
        now = time.monotonic()
        self._trusted.pop(path, None)
        self._trusted[path] = now
        oldest = next(iter(self._trusted))
        while len(self._trusted) > TRUSTED_MAX or now - self._trusted[oldest] > TRUSTED_SECONDS:
            del self._trusted[oldest]
            oldest = next(iter(self._trusted))

    def was_written_after_all(self, path: str) -> bool:
        """Return whether an event says that somebody wrote where the new times were taken for those of a new name.

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
        """Return whether an event says that somebody wrote at a path just now."""
        return path in self.written

    def was_removed(self, path: str) -> bool:
        """Return whether an event says that the name at a path was taken away just now."""
        return path in self.removed
