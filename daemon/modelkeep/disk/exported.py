"""Which files beside models this program has written itself, by the digest of their content.

A file of lines in the data folder: commands append to it while the daemon runs, and the daemon only reads it. A
digest is noted before its file appears, so whoever sees the file finds it noted; one whose file was never written
does no harm. A line: the SHA-256 in hex, two spaces, the path as it was (JSON).
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from modelkeep.disk.durable import sync_folder

_DIGITS = 64


class ExportedFiles:
    """Notes and recognises what was written.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()
        self._read_bytes = 0
        self._inode = 0
        self._is_named = False

    def note(self, written: Iterable[tuple[str, bytes]]) -> None:
        """Note what is about to be written, durably.

        Args:
            written: path and content of each file.

        Raises:
            OSError: it cannot be noted.
        """
        self._refresh()
        digests = {hashlib.sha256(data).hexdigest(): path for path, data in written}
        lines = [f"{digest}  {json.dumps(path)}\n" for digest, path in digests.items() if digest not in self._known]
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            if lines:
                _append(file, "".join(lines).encode("ascii"))
            # What is noted already is synced as well: who noted it may have been killed before that.
            os.fsync(file.fileno())
        if not self._is_named:
            sync_folder(self._path.parent)
            self._is_named = True

    def holds(self, digest: str) -> bool:
        """Return whether a file of this content (SHA-256 in hex) was written by this program, wherever it is now."""
        self._refresh()
        return digest in self._known

    def _refresh(self) -> None:
        """Read what was added since the last look."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._read_bytes:
                    self._known, self._read_bytes, self._inode = set(), 0, status.st_ino
                if status.st_size == self._read_bytes:
                    return
                file.seek(self._read_bytes)
                data = file.read()
        except FileNotFoundError:
            self._known, self._read_bytes, self._inode = set(), 0, 0
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        self._known.update(line[:_DIGITS].decode("ascii", "replace") for line in whole.splitlines())


def _append(file: BinaryIO, lines: bytes) -> None:
    size = os.fstat(file.fileno()).st_size
    # A kill may have cut the last line off.
    begins_line = not size or os.pread(file.fileno(), 1, size - 1) == b"\n"
    file.write(lines if begins_line else b"\n" + lines)
    file.flush()
