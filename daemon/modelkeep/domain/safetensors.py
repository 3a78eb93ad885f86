"""Read a safetensors header in pieces, without ever holding what it says.

The header is an object of objects: `{"name": {"dtype": …, "shape": […], "data_offsets": [begin, end]}, …}`, and one
`"__metadata__"` of texts. Whoever made the file may have put anything there instead, so nothing is built from it: one
member is looked at after the other, within bounds, and the first thing that does not belong there ends it.
"""

import re
from collections.abc import Callable

PIECE_BYTES = 1 << 16
MEMBER_BYTES_MAX = 1 << 22
"""A longer member (an image in the metadata, say) is not read to its end: the header then proves nothing."""

MEMBERS_MAX = 300_000
"""Three for each tensor; the largest models have some ten thousand of these in a file."""

OFFSET_DIGITS_MAX = 30
"""More than any disk holds; Python would take longer and longer for longer numbers."""

ReadHeader = Callable[[int, int], bytes]
"""Reads (offset, length) of the header; shorter at its end."""

_SPACE = rb"[ \t\r\n]*+"
_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\["\\/bfnrtu][^"\\\x00-\x1f]*+)*+"'
_SCALAR = rb"(?:" + _TEXT + rb"|-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|true|false|null)"
_LIST = rb"\[" + _SPACE + rb"(?:" + _SCALAR + _SPACE + rb"(?:," + _SPACE + _SCALAR + _SPACE + rb")*+)?+\]"

_OPENING = re.compile(_SPACE + rb"\{" + _SPACE + rb"(\}?)")
_ENTRY = re.compile(
    rb"(" + _TEXT + rb")" + _SPACE + rb":" + _SPACE + rb"(?:\{" + _SPACE + rb"(\}?)" + rb"|(null)" + _SPACE + rb")"
)
_MEMBER = re.compile(
    rb"(" + _TEXT + rb")" + _SPACE + rb":" + _SPACE + rb"(" + _SCALAR + rb"|" + _LIST + rb")" + _SPACE + rb"([,}])"
)
_NEXT = re.compile(_SPACE + rb"([,}])" + _SPACE)
_SPACES = re.compile(_SPACE)
_OFFSETS = re.compile(rb"\[" + _SPACE + rb"([0-9]++)" + _SPACE + rb"," + _SPACE + rb"([0-9]++)" + _SPACE + rb"\]")

_METADATA, _DATA_OFFSETS = b'"__metadata__"', b'"data_offsets"'


class _NoHeader(Exception):
    """The bytes are no header of safetensors, or one beyond the bounds."""


def tensors_extent(length: int, read_at: ReadHeader) -> int | None:
    """Return the bytes that the tensors of a safetensors header take, or None when it is no such header.

    Args:
        length: of the header.
        read_at: reads it; asked for a piece at a time.
    """
    try:
        return _Scan(length, read_at).extent()
    except _NoHeader:
        return None


class _Scan:
    """One reading of a header, from its beginning to its end."""

    def __init__(self, length: int, read_at: ReadHeader) -> None:
        self._length = length
        self._read_at = read_at
        self._piece = b""
        self._piece_at = 0
        self._at = 0
        self._members = 0

    def extent(self) -> int:
        """Return the end of the last tensor; raises _NoHeader."""
        extent = 0
        is_over = bool(self._match(_OPENING)[1])
        while not is_over:
            extent = max(extent, self._entry_end())
            is_over = self._match(_NEXT)[1] == b"}"
        self._require_nothing_more()
        return extent

    def _entry_end(self) -> int:
        """Read one tensor, or the metadata, which take no bytes."""
        entry = self._match(_ENTRY)
        is_metadata = entry[1] == _METADATA
        end = None if entry[2] or entry[3] else self._members_end()
        if is_metadata:
            return 0
        if end is None:
            raise _NoHeader
        return end

    def _members_end(self) -> int | None:
        """Read the members of an entry; returns the end that its offsets tell."""
        end = None
        while True:
            self._match(_SPACES)
            member = self._match(_MEMBER)
            self._members += 1
            if self._members > MEMBERS_MAX:
                raise _NoHeader
            if member[1] == _DATA_OFFSETS:
                end = _end_of(member[2])
            if member[3] == b"}":
                return end

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Take what comes next, reading more as long as that may help."""
        while True:
            found = pattern.match(self._piece, self._at - self._piece_at)
            held_to = self._piece_at + len(self._piece)
            # What ends with the piece may go on behind it.
            if found is not None and (found.end() < len(self._piece) or held_to >= self._length):
                self._at = self._piece_at + found.end()
                return found
            if held_to >= self._length or held_to - self._at >= MEMBER_BYTES_MAX:
                raise _NoHeader
            self._read_more()

    def _read_more(self) -> None:
        kept = self._piece[self._at - self._piece_at :]
        following = self._at + len(kept)
        # Each time some more: a member that never ends must not be looked at from its beginning too often.
        wanted = min(max(3 * len(kept), PIECE_BYTES), max(MEMBER_BYTES_MAX - len(kept), 1))
        more = self._read_at(following, min(wanted, self._length - following))
        if not more:  # the file has shrunk
            raise _NoHeader
        self._piece, self._piece_at = kept + more, self._at

    def _require_nothing_more(self) -> None:
        self._match(_SPACES)
        if self._at < self._length:
            raise _NoHeader


def _end_of(value: bytes) -> int | None:
    offsets = _OFFSETS.fullmatch(value)
    if offsets is None or len(offsets[2]) > OFFSET_DIGITS_MAX:
        return None
    return int(offsets[2])
