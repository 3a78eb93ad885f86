"""What reads one file for its BLAKE3, in a worker: seldom asked for, and nothing else loads the library."""

import os

from modelkeep.disk.opening import close_file, open_and_see
from modelkeep.disk.page_cache import give_back
from modelkeep.disk.statx import see
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.errors import HashError

PIECE_BYTES = 1 << 20
WINDOW_BYTES = 64 << 20


def read_blake3(path: str) -> tuple[str, Fingerprint]:
    """Return the BLAKE3 of a file, and which file it was.

    Raises:
        HashError: it cannot be read, or changed meanwhile.
    """
    try:
        return _read(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or "its disk does not say why") from error


def _read(path: str) -> tuple[str, Fingerprint]:
    from blake3 import blake3

    hasher, buffer, done = blake3(), bytearray(PIECE_BYTES), 0
    descriptor, seen = open_and_see(path)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := os.readv(descriptor, [buffer]):
            hasher.update(memoryview(buffer)[:count])
            done += count
            if done % WINDOW_BYTES < PIECE_BYTES:
                give_back(descriptor, max(0, done - WINDOW_BYTES), WINDOW_BYTES)
        if see(descriptor).fingerprint != seen.fingerprint or done != seen.fingerprint.size_bytes:
            raise _unreadable(path, "it changed while it was read")
    finally:
        close_file(descriptor)
    return hasher.hexdigest(), seen.fingerprint


def _unreadable(path: str, why: str) -> HashError:
    return HashError(f"{os.path.basename(path)} cannot be read: {why}")
