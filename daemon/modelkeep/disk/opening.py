"""Open files without blocking on a pipe, and see what was opened. Loads little, for hashing processes do."""

import errno
import os
from contextlib import suppress

from modelkeep.disk.pseudo_files import is_pseudo_file
from modelkeep.disk.statx import Seen, see


def open_for_reading(path: str) -> int:
    """Open a regular file, see `open_and_see`."""
    return open_and_see(path)[0]


def open_and_see(path: str) -> tuple[int, Seen]:
    """Open a regular file without following it into a pipe or device, and without touching its access time.

    Raises:
        OSError: it cannot be opened, or is no regular file (EINVAL).
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        descriptor = os.open(path, flags)  # only the owner may leave the access time alone
    try:
        return descriptor, _see_file(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Return bytes of a file; fewer only at its end, though some file systems give fewer than they are asked for."""
    found = os.pread(descriptor, length, offset)
    while 0 < len(found) < length:
        more = os.pread(descriptor, length - len(found), offset + len(found))
        if not more:
            break
        found += more
    return found


def close_file(descriptor: int) -> None:
    """Close a file that was only read: its server may be gone, and say so here (FUSE); it is closed all the same."""
    with suppress(OSError):
        os.close(descriptor)


def _see_file(descriptor: int, path: str) -> Seen:
    seen = see(descriptor)
    if not seen.is_file or is_kernels(seen, descriptor):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return seen


def is_kernels(seen: Seen, path_or_descriptor: str | int) -> bool:
    """Return whether a file is none of anybody's, but made up by the kernel (/proc, /sys): those take no space."""
    return not (seen.takes_space or os.major(seen.fingerprint.device)) and is_pseudo_file(path_or_descriptor)
