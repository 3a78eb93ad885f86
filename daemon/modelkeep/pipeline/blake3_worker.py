"""What reads one file for its BLAKE3, in a process of its own: seldom asked for, and nothing else loads the library.

The arguments are the daemon's process id and the path. It writes one line of JSON: `["digest", blake3, fingerprint]`,
or `["error", sentence]`.
"""

import json
import os
import sys

from modelkeep.base.processes import tie_to
from modelkeep.disk.files import open_and_see
from modelkeep.disk.page_cache import give_back
from modelkeep.disk.statx import see

PIECE_BYTES = 1 << 20
WINDOW_BYTES = 64 << 20


def main() -> None:
    """Read the file, and say what was found."""
    tie_to(int(sys.argv[1]))
    try:
        answer = _read(sys.argv[2])
    except OSError as error:
        answer = ["error", error.strerror or "it cannot be read"]
    print(json.dumps(answer), flush=True)


def _read(path: str) -> list[object]:
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
        if see(descriptor).fingerprint != seen.fingerprint:
            return ["error", "it changed while it was read"]
    finally:
        os.close(descriptor)
    return ["digest", hasher.hexdigest(), seen.fingerprint.numbers]
