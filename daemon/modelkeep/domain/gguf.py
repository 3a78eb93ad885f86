"""Where a GGUF file ends, by its own header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).

`GGUF`, version, number of tensors, number of keys; the keys with their values; of each tensor its name, dimensions,
type and offset in the data; then, aligned, the data, each tensor padded to the alignment. Versions 2 and 3, this
in big-endian too, which nothing but its version read the wrong way round tells.
"""

from collections.abc import Callable
from math import prod

from modelkeep.domain.header import PIECE_BYTES, Header, ReadAt, Unprovable, layout
from modelkeep.domain.header_keys import LIST_ITEMS_MAX, Summary

MAGIC = b"GGUF"
VERSIONS = (2, 3)
TENSORS_MAX = 200_000
DIMENSIONS_MAX = 4
ALIGNMENT = 32
ALIGNMENT_MAX = 1 << 20
KEY_BYTES_MAX = 65_535

_ALIGNMENT_KEY = b"general.alignment"
_BIG_ENDIAN_VERSION = 3 << 24
_COUNTS = layout("QQ")
_NUMBER, _LENGTH, _ARRAY = layout("I"), layout("Q"), layout("IQ")
_UINT32, _TEXT, _ARRAY_TYPE = 4, 8, 9
_PLAIN = {kind: layout(code) for kind, code in enumerate("BbHhIif?__Qqd") if code != "_"}
"""How the plain types of values are written."""

OnKey = Callable[[str, object], None]
"""Gets a key and its value, or a `Summary` of one that is too large."""

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
    header, tensors, alignment = _begin(size_bytes, read_at, None)
    ends = [_tensor_end(header) for _ in range(tensors)]
    begin, end = _padded(header.at, alignment), max(ends, default=0)
    return begin + end, begin + _padded(end, alignment)


def data_begin(size_bytes: int, read_at: ReadAt, on_key: OnKey) -> int:
    """Return where in a file the data of its tensors begin, and hand over what its header says.

    Args:
        size_bytes: the size that it has.
        read_at: reads it.
        on_key: gets every key, before anything is raised about what follows it.

    Raises:
        CutShort: it ends within its header.
        Unprovable: the header is none that this module knows, or beyond the bounds.
    """
    header, tensors, alignment = _begin(size_bytes, read_at, on_key)
    for _ in range(tensors):
        _tensor_end(header)
    return _padded(header.at, alignment)


def _begin(size_bytes: int, read_at: ReadAt, on_key: OnKey | None) -> tuple[Header, int, int]:
    """Read a header up to its tensors; returns it, their number and the alignment."""
    header = Header(read_at, len(MAGIC), size_bytes)
    (version,) = header.take(_NUMBER)
    if version == _BIG_ENDIAN_VERSION:
        header.is_big_endian, version = True, 3
    tensors, keys = header.take(_COUNTS)
    if version not in VERSIONS or tensors > TENSORS_MAX:
        raise Unprovable
    return header, tensors, _alignment(header, keys, on_key)


def _alignment(header: Header, keys: int, on_key: OnKey | None) -> int:
    """Pass over the keys and their values; returns the alignment."""
    found = ALIGNMENT
    for _ in range(keys):  # each takes bytes and steps, which are bounded
        key, (kind,) = _short_text(header), header.take(_NUMBER)
        if key == _ALIGNMENT_KEY and kind == _UINT32:
            (found,) = header.take(_NUMBER)
        elif on_key is None:
            _skip_value(header, kind)
        else:
            on_key(key.decode("utf-8", "replace"), _value(header, kind))
    if not 0 < found <= ALIGNMENT_MAX:
        raise Unprovable
    return found


def _skip_value(header: Header, kind: int, count: int = 1) -> None:
    if kind == _ARRAY_TYPE:
        kind, count = header.take(_ARRAY)
    if kind == _TEXT:
        header.skip_texts(count)
    elif kind in _PLAIN:
        header.skip(count * _PLAIN[kind][0].size)
    else:  # arrays of arrays are nobody's
        raise Unprovable


def _value(header: Header, kind: int) -> object:
    """Read a value that is small enough; others are passed over."""
    if kind != _ARRAY_TYPE:
        return _item(header, kind)
    kind, count = header.take(_ARRAY)
    if count <= LIST_ITEMS_MAX:
        return [_item(header, kind) for _ in range(count)]
    _skip_value(header, kind, count)
    return Summary("list", count)


def _item(header: Header, kind: int) -> object:
    if kind == _TEXT:
        (length,) = header.take(_LENGTH)
        if length <= PIECE_BYTES:
            return header.take_bytes(length).decode("utf-8", "replace")
        header.skip(length)
        return Summary("text", length)
    if kind not in _PLAIN:
        raise Unprovable
    return header.take(_PLAIN[kind])[0]


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
