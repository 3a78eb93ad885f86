"""Look at a file with statx(2), which tells when it was made: os.stat does not.

The inode number of a deleted file is given to the next one; only the time at which that one was made tells the two
apart when size and mtime are the same.
"""

import ctypes
import os
import stat
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from modelkeep.base.patience import reached
from modelkeep.domain.fingerprint import Entry, Fingerprint

_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_BASIC_STATS, _BTIME = 0x7FF, 0x800
_ALL_STATS = _BASIC_STATS | _BTIME
_KIND = 0o170000
"""The bits of a mode that tell what it is (inode(7))."""

_FILES_BETWEEN_SIGNS = 16
"""Files of a folder that are looked at before one says again how far one has come."""
_STATX = struct.Struct("=I 24x H 2x Q Q Q 8x 16x qI4x qI4x qI4x 8x II 112x")
"""mask, mode, inode, size, blocks, then made, changed and modified in seconds and nanoseconds, then the device."""


class Seen(NamedTuple):
    """What lies somewhere: whether it is a regular file, its fingerprint, and whether it takes space."""

    is_file: bool
    fingerprint: Fingerprint
    takes_space: bool


def _find_statx() -> Any:
    try:
        return ctypes.CDLL(None).statx
    except AttributeError:  # an old C library
        return None


_statx = _find_statx()


class _Answer(threading.local):
    """Where the kernel writes what it tells a thread."""

    def __init__(self) -> None:
        self.bytes = ctypes.create_string_buffer(_STATX.size)


_answer = _Answer()


class Looks:
    """Looks at many files, one after the other, in one thread: with one buffer, and folder by folder."""

    def __init__(self) -> None:
        self._answer = ctypes.create_string_buffer(_STATX.size)
        self._device = (0, 0, 0)

    def through(self, folder: int, files: "Iterable[os.DirEntry[str]]") -> Iterator[Entry]:
        """Yield what lies at entries of a folder, links followed; nothing of those that are no regular files.

        Args:
            folder: descriptor of the folder.
            files: in it.
        """
        answer, unpack, encoding = self._answer, _STATX.unpack, sys.getfilesystemencoding()
        for number, file in enumerate(files):
            path = file.path
            if not number % _FILES_BETWEEN_SIGNS:
                reached(path)
            name = file.name.encode(encoding, "surrogateescape")
            is_told = _statx is not None and _statx(folder, name, 0, _ALL_STATS, answer) == 0
            mask, mode, inode, size, _, born, born_ns, changed, changed_ns, modified, modified_ns, major, minor = (
                unpack(answer)
            )
            if not is_told or mask & _BASIC_STATS != _BASIC_STATS:
                yield from _entries_at(path)
                continue
            if mode & _KIND != stat.S_IFREG:
                continue
            device = self._device if self._device[:2] == (major, minor) else self._note_device(major, minor)
            yield (
                path,
                device[2],
                inode,
                size,
                modified * 1_000_000_000 + modified_ns,
                changed * 1_000_000_000 + changed_ns,
                born * 1_000_000_000 + born_ns if mask & _BTIME else None,
            )

    def _note_device(self, major: int, minor: int) -> tuple[int, int, int]:
        self._device = (major, minor, os.makedev(major, minor))
        return self._device


def _entries_at(path: str) -> Iterator[Entry]:
    """Yield what lies at a path of which the kernel does not tell everything at once, if that is a regular file."""
    try:
        seen = see(path)
    except (OSError, ValueError, OverflowError):  # gone meanwhile, a link to nowhere, or past all numbers
        return
    known = seen.fingerprint
    if seen.is_file:
        numbers = (known.device, known.inode, known.size_bytes, known.mtime_ns, known.ctime_ns or 0, known.birth_ns)
        yield (path, *numbers)


def see(path: str | int) -> Seen:
    """Look at a path, links followed, or at an open descriptor.

    Raises:
        OSError: nothing is there, or nobody can tell.
        ValueError: no path can be like this.
    """
    return _see_by_statx(path) or _see_by_stat(path)


def _see_by_statx(path: str | int) -> Seen | None:
    """Return None when the kernel does not answer: os.stat tells why, or does without the time of birth."""
    if _statx is None:
        return None
    folder, name, flags = (path, b"", _AT_EMPTY_PATH) if isinstance(path, int) else (_AT_FDCWD, os.fsencode(path), 0)
    if b"\0" in name:
        return None
    answer = _answer.bytes
    if _statx(folder, name, flags, _ALL_STATS, answer) != 0:
        return None
    mask, mode, inode, size, blocks, made, made_ns, changed, changed_ns, modified, modified_ns, major, minor = (
        _STATX.unpack(answer)
    )
    if mask & _BASIC_STATS != _BASIC_STATS:
        return None
    birth_ns = made * 10**9 + made_ns if mask & _BTIME else None
    modified_ns, changed_ns = modified * 10**9 + modified_ns, changed * 10**9 + changed_ns
    fingerprint = Fingerprint.of(os.makedev(major, minor), inode, size, modified_ns, changed_ns, birth_ns)
    return Seen(stat.S_ISREG(mode), fingerprint, blocks > 0)


def _see_by_stat(path: str | int) -> Seen:
    status = os.stat(path)
    return Seen(stat.S_ISREG(status.st_mode), Fingerprint.from_stat(status), status.st_blocks > 0)
