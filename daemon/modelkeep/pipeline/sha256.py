"""SHA-256 of files: by the library that is built from `sha256_pair.c`, or by Python's `hashlib` where that cannot be.

The library reads two streams in the time of little more than one; a single one goes as fast as with OpenSSL.
"""

import ctypes
import hashlib
import struct
from functools import lru_cache
from pathlib import Path
from typing import Protocol

LIBRARY = Path(__file__).with_name("_sha256_pair.so")

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

    `name` is for people, and `reason` is why it is not a faster one; `takes_two` says whether two streams at once
    gain anything, `survives_cuts` whether bytes may be of a mapped file, which somebody may cut off.
    """

    name: str
    reason: str
    takes_two: bool
    survives_cuts: bool

    def new(self) -> Sha256:
        """Begin a stream."""

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes of one stream or two; if it returns False they could not be had, and none are taken."""


class PairLibrary:
    """The library.

    Args:
        path: of it.

    Raises:
        OSError: it cannot be loaded.
        RuntimeError: it cannot be used, with the reason.
    """

    name, reason = "SHA-NI, two files at once", ""
    takes_two = True
    survives_cuts = False

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        self.functions.sha256_stream_bytes.restype = ctypes.c_size_t
        if not self.functions.sha256_is_supported():
            raise RuntimeError("this processor has no SHA-NI")
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self.functions.sha256_update.argtypes = (pointer, pointer, size)
        self.functions.sha256_update_two.argtypes = (pointer, pointer, size, pointer, pointer, size)
        self.functions.sha256_finish.argtypes = (pointer, pointer)
        self.stream_bytes = self.functions.sha256_stream_bytes()
        if not _is_right(self):
            raise RuntimeError("its digests are not those of hashlib")

    def new(self) -> "PairStream":
        """Begin a stream."""
        return PairStream(self)

    def survive_cuts(self) -> None:
        """Take mapped files too from now on: the whole process leaves SIGBUS to the library."""
        self.survives_cuts = self.functions.sha256_survive_cuts() == 0

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes, see `Implementation.update`."""
        function = self.functions.sha256_update if len(pieces) == 1 else self.functions.sha256_update_two
        arguments: list[object] = []
        for stream, data in pieces:
            assert isinstance(stream, PairStream)  # noqa: S101 - made by `new`
            arguments += stream.memory, _address(data), len(data)
        return bool(function(*arguments) == 0)


class PairStream:
    """One stream of the library."""

    def __init__(self, library: PairLibrary) -> None:
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
    takes_two = survives_cuts = False

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def new(self) -> Sha256:
        """Begin a stream."""
        return hashlib.sha256()

    def update(self, *pieces: Piece) -> bool:
        """Take the next bytes, see `Implementation.update`."""
        for stream, data in pieces:
            stream.update(data)  # type: ignore[attr-defined]
        return True


@lru_cache(maxsize=1)
def implementation() -> Implementation:
    """Return the fastest implementation that works here."""
    if not LIBRARY.exists():
        return Hashlib("the library for SHA-NI was not built when modelkeep was installed")
    try:
        return PairLibrary(LIBRARY)
    except (OSError, AttributeError, RuntimeError) as error:
        return Hashlib(str(error))


def _address(data: memoryview) -> object:
    return ctypes.byref(ctypes.c_char.from_buffer(data)) if data else None


def _is_right(library: PairLibrary) -> bool:
    """Compare digests with those of hashlib: of lengths around the ends of blocks, alone and two by two."""
    data = memoryview(bytearray(range(251)) * 3)
    lengths = (0, 3, 55, 56, 63, 64, 65, 119, 120, 128, 500, 700)
    for one_length, other_length in zip(lengths, reversed(lengths), strict=True):
        one, other = library.new(), library.new()
        library.update((other, data[:1]))
        library.update((one, data[:one_length]), (other, data[1 : other_length + 1]))
        expected = [hashlib.sha256(data[:one_length]), hashlib.sha256(data[: other_length + 1])]
        if [one.hexdigest(), other.hexdigest()] != [digest.hexdigest() for digest in expected]:
            return False
    return True
