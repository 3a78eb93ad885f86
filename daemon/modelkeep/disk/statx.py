"""Look at a file with statx(2), which tells when it was made: os.stat does not.

The inode number of a deleted file is given to the next one; only the time at which that one was made tells the two
apart when size and mtime are the same.
"""

import ctypes
import os
import stat
import struct
from dataclasses import dataclass
from typing import Any

from modelkeep.domain.values import Fingerprint

_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_BASIC_STATS, _BTIME = 0x7FF, 0x800
_STATX = struct.Struct("=I 24x H 2x Q Q Q 8x 16x qI4x qI4x qI4x 8x II 112x")
"""mask, mode, inode, size, blocks, then made, changed and modified in seconds and nanoseconds, then the device."""


@dataclass(frozen=True, slots=True)
class Seen:
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
    answer = ctypes.create_string_buffer(_STATX.size)
    if _statx(folder, name, flags, _BASIC_STATS | _BTIME, answer) != 0:
        return None
    mask, mode, inode, size, blocks, *times, major, minor = _STATX.unpack(answer)
    made, made_ns, changed, changed_ns, modified, modified_ns = times
    if mask & _BASIC_STATS != _BASIC_STATS:
        return None
    birth_ns = made * 10**9 + made_ns if mask & _BTIME else None
    modified_ns, changed_ns = modified * 10**9 + modified_ns, changed * 10**9 + changed_ns
    fingerprint = Fingerprint.of(os.makedev(major, minor), inode, size, modified_ns, changed_ns, birth_ns)
    return Seen(stat.S_ISREG(mode), fingerprint, blocks > 0)


def _see_by_stat(path: str | int) -> Seen:
    status = os.stat(path)
    return Seen(stat.S_ISREG(status.st_mode), Fingerprint.from_stat(status), status.st_blocks > 0)
