"""SHA-256 of files: by the library built from `sha256_streams.c`, or by Python's `hashlib` where that cannot be.

The library takes two streams in the time of little more than one, and a quarter of a third one along; a single stream
goes as fast as with OpenSSL.
"""

import ctypes
import os
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

LIBRARY = os.path.join(os.path.dirname(__file__), "_sha256_streams.so")

STREAMS_MAX = 3
"""So many streams are taken at once at the most."""

THIRD_SHARE = 4
"""The third stream takes one byte while each of the others takes so many."""

FILES_AT_ONCE = {1: 1, 2: 2, STREAMS_MAX: 4}
"""How many large files one process reads, by how many streams it takes at once.

With three of them four files have their turns at being the slow one: so all come forward equally, and when few files
are left, none is left alone early.
"""

_GAUGED_BYTES, _GAUGED_TIMES = 16 << 10, 30
"""What is hashed to see whether a third stream pays, and how often; takes a millisecond."""

_GAUGED_TRIALS = 10
"""So often it is looked until it pays: what shares the core with us may take those units for a moment."""

_NO_PIECE = (None, None, 0)

_FIRST_STATE = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
"""FIPS 180-4, 5.3.3."""


class Sha256(Protocol):
    """The digest of one stream of bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes; nothing is taken afterwards."""


Piece = tuple[Sha256, memoryview]
"""A stream, and the bytes that it is to take next."""


class Implementation(Protocol):
    """What computes digests.

    `name` is for people, and `reason` is why it is not a faster one; `streams` says how many of them at once gain
    anything, `survives_cuts` whether bytes may be of a mapped file, which somebody may cut off.
    """

    name: str
    reason: str
    streams: int
    survives_cuts: bool

    def new(self) -> Sha256:
        """Begin a stream."""

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes of at least one stream, and of no more than gain anything.

        Returns False if they could not be had: none are taken then.
        """


class StreamsLibrary:
    """The library.

    Args:
        path: of it.
        streams: how many are taken at once, as another process has found out that has compared its digests, too;
            0: as many as gain anything.

    Raises:
        OSError: it cannot be loaded.
        RuntimeError: it cannot be used, with the reason.
    """

    reason = ""
    survives_cuts = False

    def __init__(self, path: str | os.PathLike[str], streams: int = 0) -> None:
        self.functions = ctypes.CDLL(os.fspath(path))
        self.functions.sha256_stream_bytes.restype = ctypes.c_size_t
        self.streams = int(self.functions.sha256_streams())
        if not self.streams:
            raise RuntimeError("this processor has no SHA-NI")
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self.functions.sha256_update.argtypes = (pointer, pointer, size) * STREAMS_MAX
        self.functions.sha256_finish.argtypes = (pointer, pointer)
        self.stream_bytes = self.functions.sha256_stream_bytes()
        if streams:
            self.streams = streams
        elif not _is_right(self):
            raise RuntimeError("its digests are not those of hashlib")
        elif self.streams == STREAMS_MAX and not any(_third_pays(self) for _ in range(_GAUGED_TRIALS)):
            self.streams = 2
        self.name = f"SHA-NI, {'two' if self.streams == 2 else 'three'} files at once"

    def new(self) -> "LibraryStream":
        """Begin a stream."""
        return LibraryStream(self)

    def survive_cuts(self) -> None:
        """Take mapped files too from now on: the whole process leaves SIGBUS to the library."""
        self.survives_cuts = self.functions.sha256_survive_cuts() == 0

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes, see `Implementation.update`."""
        assert len(pieces) <= self.streams  # noqa: S101 - the library would use instructions that are not there
        arguments: list[object] = []
        for stream, data in pieces:
            assert isinstance(stream, LibraryStream)  # noqa: S101 - made by `new`
            arguments += stream.memory, _address(data), len(data)
        arguments += _NO_PIECE * (STREAMS_MAX - len(pieces))
        return bool(self.functions.sha256_update(*arguments) == 0)


class LibraryStream:
    """One stream of the library."""

    def __init__(self, library: StreamsLibrary) -> None:
        self._functions = library.functions
        self.memory = ctypes.create_string_buffer(library.stream_bytes)
        struct.pack_into("=8I", self.memory, 0, *_FIRST_STATE)

    def hexdigest(self) -> str:
        """Return the digest of all bytes; nothing is taken afterwards."""
        digest = ctypes.create_string_buffer(32)
        self._functions.sha256_finish(self.memory, digest)
        return digest.raw.hex()


class Hashlib:
    """Python's own.

    Args:
        reason: why the library is not used.
    """

    name = "hashlib"
    streams, survives_cuts = 1, False

    def __init__(self, reason: str) -> None:
        import hashlib  # with a tenth of what a process takes to begin, for OpenSSL: only where there is no library

        self.reason = reason
        self._new: Callable[[], Sha256] = hashlib.sha256

    def new(self) -> Sha256:
        """Begin a stream."""
        return self._new()

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes, see `Implementation.update`."""
        for stream, data in pieces:
            stream.update(data)  # type: ignore[attr-defined]
        return True


@lru_cache(maxsize=1)
def implementation(streams: int = 0) -> Implementation:
    """Return the fastest implementation that works here.

    Args:
        streams: how many it takes at once, if it is another process's; 0: that is found out.
    """
    if streams == 1:
        return Hashlib("the daemon was started without the library")
    if not os.path.exists(LIBRARY):
        return Hashlib("the library for SHA-NI was not built when modelkeep was installed")
    try:
        return StreamsLibrary(LIBRARY, streams)
    except (OSError, AttributeError, RuntimeError) as error:
        return Hashlib(str(error))


def _address(data: memoryview) -> object:
    return ctypes.byref(ctypes.c_char.from_buffer(data)) if data else None


def _is_right(library: StreamsLibrary) -> bool:
    """Compare digests with those of hashlib: of lengths around the ends of blocks, side by side."""
    import hashlib

    data = memoryview(bytearray(range(251)) * 5)
    lengths = (0, 3, 55, 56, 63, 64, 65, 119, 120, 128, 700, 1200)
    for turn in range(len(lengths)):
        streams = [library.new() for _ in range(library.streams)]
        ends = [lengths[(turn + place) % len(lengths)] for place in range(library.streams)]
        begun = min(1, ends[-1])  # a stream may have a block that is not full yet
        library.update((streams[-1], data[:begun]))
        begins = [*[0] * (len(ends) - 1), begun]
        library.update(*((stream, data[b:e]) for stream, b, e in zip(streams, begins, ends, strict=True)))
        if [stream.hexdigest() for stream in streams] != [hashlib.sha256(data[:end]).hexdigest() for end in ends]:
            return False
    return True


def _third_pays(library: StreamsLibrary) -> bool:
    """Return whether more bytes are taken in the same time with a third stream, which slows down the others."""
    data = memoryview(bytearray(_GAUGED_BYTES))
    lengths = (_GAUGED_BYTES, _GAUGED_BYTES, _GAUGED_BYTES // THIRD_SHARE)

    def bytes_per_second(streams: int) -> float:
        pieces = [(library.new(), data[:length]) for length in lengths[:streams]]
        began = time.perf_counter()
        library.update(*pieces)
        return sum(lengths[:streams]) / (time.perf_counter() - began)

    # In turn, and the best of each: others are at work on the same processor.
    speeds = [(bytes_per_second(2), bytes_per_second(3)) for _ in range(_GAUGED_TIMES)]
    return max(three for _, three in speeds) > max(two for two, _ in speeds)
