"""Return whether a PNG holds as many pixels as its header says, without decoding it.

Pillow takes some images for whole whose compressed data ends early, and gives the missing pixels as they lie in
memory. Format: https://www.w3.org/TR/png-3/
"""

import struct
import zlib
from collections.abc import Iterator

_CHUNK_START = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_SIGNATURE_BYTES = 8
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass: first column, first row, and the steps to the next ones."""

_PIECE_BYTES = 1024 * 1024


def lacks_pixels(data: bytes) -> bool:
    """Return whether the data of a PNG inflates to less than its size needs; what is no PNG lacks nothing."""
    chunks = _chunks(data)
    kind, header = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(header) < _HEADER.size:
        return False
    left = _inflated_bytes(*_HEADER.unpack(header[: _HEADER.size]))
    inflating = zlib.decompressobj()
    try:
        for packed in (content for kind, content in chunks if kind == b"IDAT"):
            while packed and left > 0:
                left -= len(inflating.decompress(packed, _PIECE_BYTES))
                packed = inflating.unconsumed_tail
            if left <= 0 or inflating.eof:
                break
        # What did not fit into the last piece may be held back although nothing is left to feed.
        while left > 0 and (held := inflating.decompress(inflating.unconsumed_tail, _PIECE_BYTES)):
            left -= len(held)
    except zlib.error:
        return False  # the decoder says it better
    return left > 0


def _inflated_bytes(
    width: int, height: int, bits: int, colour: int, _packing: int, _filters: int, interlaced: int
) -> int:
    """Return how many bytes the pixels have before they are packed: each row begins with the number of its filter."""
    pixel_bits = bits * _CHANNELS.get(colour, 1)
    total = 0
    for column, row, step, row_step in _ADAM7 if interlaced else _WHOLE:
        columns, rows = -(-(width - column) // step), -(-(height - row) // row_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * pixel_bits // 8))
    return total


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of each chunk."""
    at = _SIGNATURE_BYTES
    while at + _CHUNK_START.size <= len(data):
        length, kind = _CHUNK_START.unpack_from(data, at)
        at += _CHUNK_START.size
        yield kind, data[at : at + length]
        at += length + 4
