"""One file that is being read in a hashing process: its bytes, its digest, and whether it changed meanwhile."""

import os
import time

from modelkeep.disk.files import open_and_see
from modelkeep.disk.statx import see
from modelkeep.pipeline.sha256 import Sha256

PIECE_BYTES = 1 << 20

CHECK_BYTES = 64 << 20
"""So often it is looked whether a file that is being read has changed or gone: the rest is read in vain then."""


class FileFailure(Exception):
    """A file has no digest.

    Args:
        kind: `changed` while it was read, `vanished`, `cancelled`.
        sentence: the same for people.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(kind, sentence)


class FileBeingRead:
    """A file that is open for reading.

    Args:
        number: what the daemon calls it.
        path: a regular file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, number: int, path: str) -> None:
        self.number = number
        self.began = time.perf_counter()
        self.sha256 = Sha256()
        self.bytes_done = 0
        self._path = path
        self._next_check = CHECK_BYTES
        self._descriptor, seen = open_and_see(path)
        self._before = seen.fingerprint
        self._has_names = self._before.size_bytes >= CHECK_BYTES and os.fstat(self._descriptor).st_nlink > 0
        # Read-ahead, and that these pages do not push out those of other programs (Linux 6.3).
        for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_NOREUSE):
            os.posix_fadvise(self._descriptor, 0, 0, advice)

    def read(self, buffer: bytearray) -> int:
        """Fill a buffer with what comes next; returns how many bytes that are, 0 at the end.

        Raises:
            FileFailure: it has changed, or is gone.
            OSError: it cannot be read.
        """
        count = os.readv(self._descriptor, [buffer])
        self.bytes_done += count
        if self.bytes_done >= self._next_check:
            self._next_check += CHECK_BYTES
            self._require_same()
        return count

    def result(self) -> list[object]:
        """Return what the daemon is told when all is read.

        Raises:
            FileFailure: it changed while it was read.
        """
        before, after = self._before, see(self._descriptor).fingerprint
        if not after.same_file_at_same_path(before) or self.bytes_done != before.size_bytes:
            raise self._changed()
        values = [getattr(before, name) for name in before.__slots__]
        # Whether a new name is why it has another ctime by now, others know.
        return ["digest", self.sha256.hexdigest(), values, after == before]

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _require_same(self) -> None:
        if not see(self._descriptor).fingerprint.same_file_at_same_path(self._before):
            raise self._changed()
        status = os.fstat(self._descriptor)
        if not status.st_nlink and self._has_names:
            raise FileFailure("vanished", f"there is no file at {self._path}")

    def _changed(self) -> FileFailure:
        return FileFailure("changed", f"{os.path.basename(self._path)} changed while it was read")
