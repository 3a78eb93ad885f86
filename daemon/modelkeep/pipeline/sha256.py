"""SHA-256 of files: by the library built from `sha256_streams.c`, or by Python's `hashlib` where that cannot be.

The library takes some streams at once, each nearly as fast as a single one, which goes as fast as with OpenSSL.
"""

import ctypes
import os
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

LIBRARY = os.path.join(os.path.dirname(__file__), "_sha256_streams.so")

STREAMS_MAX = 4
"""So many streams are taken at once at the most."""

_GAUGED_BYTES, _GAUGED_TIMES = 16 << 10, 30
"""What is hashed of each stream to see how many of them pay, and how often; takes two milliseconds."""

_GAUGED_TRIALS = 10
"""So often it is looked until all of them pay: what shares the core with us may take its units for a moment."""

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
        self.functions.sha256_finish.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._take = self.functions.sha256_take
        self.stream_bytes = self.functions.sha256_stream_bytes()
        if not streams and not _is_right(self):
            raise RuntimeError("its digests are not those of hashlib")
        self.streams = streams or _paying_streams(self)
        self.name = f"SHA-NI, {('two', 'three', 'four')[self.streams - 2]} files at once"

    def new(self) -> "LibraryStream":
        """Begin a stream."""
        return LibraryStream(self)

    def survive_cuts(self) -> None:
        """Take mapped files too from now on: the whole process leaves SIGBUS to the library."""
        self.survives_cuts = self.functions.sha256_survive_cuts() == 0

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes, see `Implementation.update`."""
        assert len(pieces) <= self.streams  # noqa: S101 - whoever calls knows how many there are
        asked = (_Asked * len(pieces))()
        for one, (stream, data) in zip(asked, pieces, strict=True):
            assert isinstance(stream, LibraryStream)  # noqa: S101 - made by `new`
            one.to, one.data, one.length = stream.address, _address(data), len(data)
        return bool(self._take(asked, len(pieces)) == 0)


class _Asked(ctypes.Structure):
    """A piece as the library takes it."""

    _fields_ = (("to", ctypes.c_void_p), ("data", ctypes.c_void_p), ("length", ctypes.c_size_t))


class LibraryStream:
    """One stream of the library."""

    def __init__(self, library: StreamsLibrary) -> None:
        self._functions = library.functions
        self._memory = ctypes.create_string_buffer(library.stream_bytes)
        self.address = ctypes.addressof(self._memory)
        struct.pack_into("=8I", self._memory, 0, *_FIRST_STATE)

    def hexdigest(self) -> str:
        """Return the digest of all bytes; nothing is taken afterwards."""
        digest = ctypes.create_string_buffer(32)
        self._functions.sha256_finish(self._memory, digest)
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
    except AttributeError:
        return Hashlib("the library for SHA-NI was built from another version of modelkeep: install modelkeep again")
    except (OSError, RuntimeError) as error:
        return Hashlib(str(error))


def _address(data: memoryview) -> int | None:
    return ctypes.addressof(ctypes.c_char.from_buffer(data)) if data else None


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


def _paying_streams(library: StreamsLibrary) -> int:
    """Return with how many streams the most bytes are taken in the same time."""
    data = memoryview(bytearray(_GAUGED_BYTES))

    def bytes_per_second(count: int) -> float:
        pieces = [(library.new(), data) for _ in range(count)]
        began = time.perf_counter()
        library.update(*pieces)
        return count * _GAUGED_BYTES / (time.perf_counter() - began)

    counts = range(2, library.streams + 1)
    for _ in range(_GAUGED_TRIALS):
        # In turn, and the best of each: others are at work on the same processor.
        speeds = [[bytes_per_second(count) for count in counts] for _ in range(_GAUGED_TIMES)]
        best = max(zip(map(max, zip(*speeds, strict=True)), counts, strict=True))[1]
        if best == library.streams:
            break
    return best
