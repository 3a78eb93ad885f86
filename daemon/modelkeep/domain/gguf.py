"""Where a GGUF file ends, by its own header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).

`GGUF`, version, number of tensors, number of keys; the keys with their values; of each tensor its name, dimensions,
type and offset in the data; then, aligned, the data, each tensor padded to the alignment. Versions 2 and 3, in
little-endian.
"""

import struct
from math import prod

from modelkeep.domain.header import Header, ReadAt, Unprovable

MAGIC = b"GGUF"
VERSIONS = (2, 3)
TENSORS_MAX = 200_000
DIMENSIONS_MAX = 4
ALIGNMENT = 32
ALIGNMENT_MAX = 1 << 20
KEY_BYTES_MAX = 65_535

_ALIGNMENT_KEY = b"general.alignment"
_START = struct.Struct("<IQQ")
_NUMBER, _LENGTH, _ARRAY = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<IQ")
_UINT32, _TEXT, _ARRAY_TYPE = 4, 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""What the plain types of values take."""

_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""Numbers and bytes in a block of each type that files hold (`ggml_type`, `GGML_QUANT_SIZES` of gguf-py)."""


def sizes_when_whole(size_bytes: int, read_at: ReadAt) -> tuple[int, int]:
    """Return the size of a file up to the end of its last tensor, and with what pads that.

    ggml and gguf-py pad the last one too, so a file without its padding may be cut off; other programs may not.

    Args:
        size_bytes: the size that it has.
        read_at: reads it.

    Raises:
        CutShort: it ends within its header.
        Unprovable: the header is none that this module knows, or beyond the bounds.
    """
    header = Header(read_at, len(MAGIC), size_bytes)
    version, tensors, keys = header.take(_START)
    if version not in VERSIONS or tensors > TENSORS_MAX:
        raise Unprovable
    alignment = _alignment(header, keys)
    ends = [_tensor_end(header) for _ in range(tensors)]
    begin, end = _padded(header.at, alignment), max(ends, default=0)
    return begin + end, begin + _padded(end, alignment)


def _alignment(header: Header, keys: int) -> int:
    """Pass over the keys and their values; returns the alignment."""
    found = ALIGNMENT
    for _ in range(keys):  # each takes bytes and steps, which are bounded
        key, (kind,) = _short_text(header), header.take(_NUMBER)
        if key == _ALIGNMENT_KEY and kind == _UINT32:
            (found,) = header.take(_NUMBER)
        else:
            _skip_value(header, kind)
    if not 0 < found <= ALIGNMENT_MAX:
        raise Unprovable
    return found


def _skip_value(header: Header, kind: int) -> None:
    count = 1
    if kind == _ARRAY_TYPE:
        kind, count = header.take(_ARRAY)
    if kind == _TEXT:
        header.skip_texts(count)
    elif kind in _VALUE_BYTES:
        header.skip(count * _VALUE_BYTES[kind])
    else:  # arrays of arrays are nobody's
        raise Unprovable


def _short_text(header: Header) -> bytes:
    (length,) = header.take(_LENGTH)
    if length > KEY_BYTES_MAX:
        raise Unprovable
    return header.take_bytes(length)


def _tensor_end(header: Header) -> int:
    """Read what the header says of a tensor; returns where in the data it ends."""
    _short_text(header)
    (dimensions,) = header.take(_NUMBER)
    if dimensions > DIMENSIONS_MAX:
        raise Unprovable
    numbers = prod(header.take(_LENGTH)[0] for _ in range(dimensions))
    kind, offset = header.take(_ARRAY)
    if kind not in _BLOCKS or numbers % _BLOCKS[kind][0]:
        raise Unprovable
    return offset + numbers // _BLOCKS[kind][0] * _BLOCKS[kind][1]


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
