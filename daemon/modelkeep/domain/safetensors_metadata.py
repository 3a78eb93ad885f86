"""Read `__metadata__` out of a safetensors header: member by member, within bounds, however the rest of it looks.

Where the tensors begin is said by the first eight bytes alone; what the header holds besides is for people, so one
that is broken further on is read as far as it can be.
"""

import json
import re
from collections.abc import Callable

from modelkeep.domain.header_keys import KEYS_MAX

HEADER_BYTES_MAX = 100_000_000
"""The format's own bound on the header's length."""

HEADER_READ_MAX = 1 << 25
"""It is looked for no further; nearly all who write it put it first."""

METADATA_BYTES_MAX = 1 << 23
NESTED_BYTES_MAX = 1 << 18
"""Of a value that is no text: those who follow the format write none."""

DIGITS_MAX = 30
_PIECE_BYTES = 1 << 16
_OVERLAP_BYTES = 1 << 10

OnMember = Callable[[str, object], None]
ReadHeader = Callable[[int, int], bytes]
"""Reads (offset, length) of the header; shorter at its end."""

_SPACE = rb"[ \t\r\n]*+"
# A quote behind a backslash is within a text: of some member, or of a tensor's name.
_METADATA = re.compile(rb'(?<!\\)"__metadata__"' + _SPACE + rb":" + _SPACE + rb"\{" + _SPACE)
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COLON, _NEXT = re.compile(_SPACE + rb":" + _SPACE), re.compile(_SPACE + rb"([,}])" + _SPACE)


_NO_JSON = "its metadata are no JSON"


class _Broken(Exception):
    """The metadata are no JSON, or beyond the bounds; the reason is a sentence."""


def read_metadata(length: int, read_at: ReadHeader, on_member: OnMember) -> str:
    """Hand over the members of `__metadata__`; returns why not all of them, empty when they are.

    Args:
        length: of the header.
        read_at: reads it; asked for a piece at a time.
        on_member: gets each key with its value.
    """
    begin = _find(length, read_at)
    if begin is None:
        return "" if length <= HEADER_READ_MAX else "it is too large to be looked through"
    wanted = _PIECE_BYTES
    members, problem = _members(read_at(begin, min(wanted, length - begin)))
    while problem and wanted < min(METADATA_BYTES_MAX, length - begin):
        wanted = min(8 * wanted, METADATA_BYTES_MAX)
        members, problem = _members(read_at(begin, min(wanted, length - begin)))
    for key, value in members:
        on_member(key, value)
    return problem


def _find(length: int, read_at: ReadHeader) -> int | None:
    """Return where the first member would begin; None when there are no metadata."""
    at, kept = 0, b""
    while at < min(length, HEADER_READ_MAX):
        piece = read_at(at, min(_PIECE_BYTES, length - at))
        if not piece:
            break
        held = kept + piece
        found = _METADATA.search(held)
        if found is not None:
            return at - len(kept) + found.end()
        at, kept = at + len(piece), held[-_OVERLAP_BYTES:]
    return None


def _members(data: bytes) -> tuple[list[tuple[str, object]], str]:
    """Return the members that begin with these bytes, up to the end of their object, and why it is not reached."""
    members: list[tuple[str, object]] = []
    at, is_over = 0, data.startswith(b"}")
    try:
        while not is_over and len(members) <= KEYS_MAX:
            key, at = _text(data, at)
            value, at = _value(data, _match(_COLON, data, at).end())
            members.append((key, value))
            following = _match(_NEXT, data, at)
            at, is_over = following.end(), following[1] == b"}"
    except _Broken as broken:
        return members, str(broken)
    return members, "" if is_over else f"it has more than {KEYS_MAX} keys"


def _value(data: bytes, at: int) -> tuple[object, int]:
    if data[at : at + 1] == b'"':
        return _text(data, at)
    text = data[at : at + NESTED_BYTES_MAX].decode("utf-8", "surrogateescape")
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _Broken("its metadata are no JSON, or nested too deeply") from error
    return value, at + len(text[:end].encode("utf-8", "surrogateescape"))


def _text(data: bytes, at: int) -> tuple[str, int]:
    found = _match(_TEXT, data, at)
    try:
        return str(_DECODER.decode(found[0].decode("utf-8", "surrogateescape"))), found.end()
    except ValueError as error:
        raise _Broken(_NO_JSON) from error


def _match(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
    found = pattern.match(data, at)
    if found is None:
        raise _Broken(_NO_JSON)
    return found


def _whole(digits: str) -> object:
    return int(digits) if len(digits) <= DIGITS_MAX else digits


_DECODER = json.JSONDecoder(strict=False, parse_int=_whole, parse_constant=str)
