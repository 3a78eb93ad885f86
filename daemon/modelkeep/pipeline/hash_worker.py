"""What runs in a hashing process: read one file, return its SHA-256. Loads nothing but `domain` and `errors`."""

import ctypes
import hashlib
import os
from typing import Any

from modelkeep.disk.files import open_for_reading
from modelkeep.disk.statx import see
from modelkeep.domain.hashing import Digest
from modelkeep.errors import FileChanged, HashCancelled

CHUNK_BYTES = 1 << 20

_IOPRIO_WHO_PROCESS, _IOPRIO_BEST_EFFORT_LOWEST = 1, (2 << 13) | 7
_SYS_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_NICENESS = 10

_shared: Any = None
"""Three unsigned numbers: bytes done, whether the work is called off, and whether the worker has taken it up."""

BYTES_DONE, CALLED_OFF, TAKEN_UP = range(3)


def begin(shared: Any, step_back: bool) -> None:
    """Prepare a new worker process.

    Args:
        shared: array of three unsigned 64-bit numbers.
        step_back: leave processor and disk to other programs whenever they want them.
    """
    global _shared
    _shared = shared
    if step_back:
        os.nice(_NICENESS)
        number = _SYS_IOPRIO_SET.get(os.uname().machine)
        if number is not None:
            ctypes.CDLL(None).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_BEST_EFFORT_LOWEST)


def digest_file(path: str) -> Digest:
    """Hash a file.

    Args:
        path: a regular file.

    Raises:
        FileChanged: it changed while it was read.
        HashCancelled: the work was called off.
        OSError: it cannot be opened or read.
    """
    if _shared is not None:
        _shared[TAKEN_UP] = 1
    descriptor = open_for_reading(path)
    try:
        before = see(descriptor).fingerprint
        _advise(descriptor)
        sha256, read_bytes = _read_all(descriptor)
        after = see(descriptor).fingerprint
    finally:
        os.close(descriptor)
    if not after.same_file_at_same_path(before) or read_bytes != before.size_bytes:
        raise FileChanged(f"{os.path.basename(path)} changed while it was read")
    # Whether a new name is why it has another ctime by now, others know.
    return Digest(sha256, before, is_untouched=after == before)


def _read_all(descriptor: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    parent = os.getppid()
    total = 0
    while count := os.readv(descriptor, [buffer]):
        digest.update(view[:count])
        total += count
        if _shared is not None:
            _shared[BYTES_DONE] = total
            if _shared[CALLED_OFF] or os.getppid() != parent:
                raise HashCancelled("hashing was called off")
    return digest.hexdigest(), total


def _advise(descriptor: int) -> None:
    """Ask for read-ahead, and that these pages do not push out those of other programs (Linux 6.3)."""
    for advice in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_NOREUSE):
        os.posix_fadvise(descriptor, 0, 0, advice)
