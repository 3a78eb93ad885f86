"""Walk through the header of a file in pieces, within bounds, and with never more than one piece of it in memory."""

import struct
from collections.abc import Callable

PIECE_BYTES = 1 << 16
READ_BYTES_MAX = 1 << 26
"""A header of which more has to be read proves nothing; those of the largest models have some megabytes."""

STEPS_MAX = 2_000_000
"""Likewise for one with more texts; a vocabulary has some hundred thousand."""

ReadAt = Callable[[int, int], bytes]
"""Reads (offset, length) of the file; shorter at its end."""

Layout = tuple[struct.Struct, struct.Struct]
"""How numbers are written, in little-endian and in big-endian."""


def layout(codes: str) -> Layout:
    """Return how numbers are written.

    Args:
        codes: a format of `struct`, without the byte order.
    """
    return struct.Struct("<" + codes), struct.Struct(">" + codes)


_LENGTH = layout("Q")


class CutShort(Exception):
    """The file ends before what the header promises."""


class Unprovable(Exception):
    """The bytes are no header of this format, or one beyond the bounds."""


class Header:
    """Reads a header from some offset on.

    Args:
        read_at: reads the file.
        at: where it begins.
        size_bytes: the file's size.
    """

    def __init__(self, read_at: ReadAt, at: int, size_bytes: int) -> None:
        self.at = at
        self.is_big_endian = False
        self._read_at = read_at
        self._size_bytes = size_bytes
        self._piece = b""
        self._piece_at = at
        self._bytes_left = READ_BYTES_MAX
        self._steps_left = STEPS_MAX

    def take(self, layout: Layout) -> tuple[int, ...]:
        """Return the numbers that come next."""
        self._step()
        written = layout[self.is_big_endian]
        start = self._held(written.size)
        numbers = written.unpack_from(self._piece, start)
        self.at += written.size
        return numbers

    def take_bytes(self, length: int) -> bytes:
        """Return the bytes that come next; of at most a piece."""
        if length > PIECE_BYTES:
            raise Unprovable
        start = self._held(length)
        self.at += length
        return self._piece[start : start + length]

    def skip(self, length: int) -> None:
        """Pass over bytes, which are not read."""
        self._step()
        self.at += length
        if self.at > self._size_bytes:
            raise CutShort

    def skip_texts(self, count: int) -> None:
        """Pass over texts, each of them behind its length in eight bytes."""
        length = _LENGTH[self.is_big_endian]
        while count:
            at = self._held(length.size)
            piece, last = self._piece, len(self._piece) - length.size
            before = count
            while count and at <= last:
                at += length.size + length.unpack_from(piece, at)[0]
                count -= 1
            self._step(before - count)
            self.at = self._piece_at + at
            if self.at > self._size_bytes:
                raise CutShort

    def _step(self, steps: int = 1) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise Unprovable

    def _held(self, length: int) -> int:
        """Have so many bytes in the piece; returns where in it they begin."""
        if self.at + length > self._size_bytes:
            raise CutShort
        start = self.at - self._piece_at
        if start + length > len(self._piece):
            self._piece, self._piece_at, start = self._read_at(self.at, PIECE_BYTES), self.at, 0
            self._bytes_left -= PIECE_BYTES
            if self._bytes_left < 0 or len(self._piece) < length:  # or the file has shrunk
                raise Unprovable
        return start
