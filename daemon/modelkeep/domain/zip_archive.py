"""Whether a zip archive is whole, as torch writes its checkpoints (APPNOTE.TXT of PKWARE, 4.3; zip64: 4.3.14, 4.5.3).

Members, then the central directory, which has a record of each, then the record of its end, which is the last thing
in the file. What is proven: the end is there, the directory lies right before it and has what it says, and all
members lie before the directory.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from modelkeep.domain.header import CutShort, Header, ReadAt, Unprovable

MAGIC = b"PK\x03\x04"
DIRECTORY_BYTES_MAX = 1 << 24
MEMBERS_MAX = 200_000

_END = struct.Struct("<4s4H2IH")
_END64_PLACE = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_MEMBER = struct.Struct("<4s6H3I5H2I")
_EXTRA = struct.Struct("<2H")
_LOCAL = struct.Struct("<4s5H3I2H")
_COMMENT_BYTES_MAX = 0xFFFF
_VERSION_MAX = 63
_METHODS = (0, 8)
"""Stored and deflated; torch only stores."""

_WIDE = 0xFFFF_FFFF
_ZIP64 = 1


class _Directory(NamedTuple):
    """Where the central directory lies, and how many members it has."""

    offset: int
    size_bytes: int
    members: int


def require_whole(size_bytes: int, read_at: ReadAt) -> None:
    """Return when an archive is whole.

    Args:
        size_bytes: its size.
        read_at: reads it; nothing of its members.

    Raises:
        CutShort: it begins as archives do, and the record of its end is missing.
        Unprovable: it says nothing for certain, or what is beyond the bounds.
    """
    start = max(0, size_bytes - _END.size - _COMMENT_BYTES_MAX)
    tail = read_at(start, size_bytes - start)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(tail):
        raise CutShort if _begins_with_member(read_at) else Unprovable
    *_, comment_bytes = _END.unpack_from(tail, place)
    if place + _END.size + comment_bytes != len(tail):
        raise Unprovable
    _require_members(_directory(start + place, tail[place:], read_at), read_at)


def _begins_with_member(read_at: ReadAt) -> bool:
    start = read_at(0, _LOCAL.size)
    if len(start) < _LOCAL.size:
        return False
    _, version, _, method, *_ = _LOCAL.unpack(start)
    return version <= _VERSION_MAX and method in _METHODS


def _directory(end_at: int, end: bytes, read_at: ReadAt) -> _Directory:
    """Return where the directory lies; it has to end where the record of its end begins."""
    _, disk, first_disk, _, members, size_bytes, offset, _ = _END.unpack_from(end)
    found = _Directory(offset, size_bytes, members)
    place = read_at(max(0, end_at - _END64_PLACE.size), _END64_PLACE.size)
    if place[:4] == b"PK\x06\x07" and len(place) == _END64_PLACE.size:
        end_at, found = _directory64(end_at, place, read_at)
    elif disk or first_disk:
        raise Unprovable
    if found.offset + found.size_bytes != end_at:
        raise Unprovable
    return found


def _directory64(end_at: int, place: bytes, read_at: ReadAt) -> tuple[int, _Directory]:
    _, _, end64_at, _ = _END64_PLACE.unpack(place)
    end64 = read_at(end64_at, _END64.size)
    if len(end64) < _END64.size or end64[:4] != b"PK\x06\x06":
        raise Unprovable
    _, rest_bytes, _, _, _, _, _, members, size_bytes, offset = _END64.unpack(end64)
    if end64_at + 12 + rest_bytes != end_at - _END64_PLACE.size:
        raise Unprovable
    return end64_at, _Directory(offset, size_bytes, members)


def _require_members(directory: _Directory, read_at: ReadAt) -> None:
    if directory.size_bytes > DIRECTORY_BYTES_MAX or directory.members > MEMBERS_MAX:
        raise Unprovable
    end = directory.offset + directory.size_bytes
    header = Header(read_at, directory.offset, end)
    try:
        last = max((_member_end(header) for _ in range(directory.members)), default=0)
    except CutShort:
        raise Unprovable from None
    if last > directory.offset or header.at != end:
        raise Unprovable


def _member_end(header: Header) -> int:
    """Read the record of a member; returns where the member ends at the earliest."""
    fields = _MEMBER.unpack(header.take_bytes(_MEMBER.size))
    if fields[0] != b"PK\x01\x02":
        raise Unprovable
    packed_bytes, plain_bytes, name_bytes, extra_bytes, comment_bytes = fields[8:13]
    offset = fields[-1]
    header.take_bytes(name_bytes)
    extra = header.take_bytes(extra_bytes)
    header.take_bytes(comment_bytes)
    packed_bytes, offset = _widened((plain_bytes, packed_bytes, offset), extra)[1:]
    return offset + _LOCAL.size + int(name_bytes) + packed_bytes


def _widened(numbers: tuple[int, ...], extra: bytes) -> list[int]:
    """Return sizes and offset, from the extra field where the narrow ones are full: in this order, only those."""
    wide = _wide_numbers(extra) if _WIDE in numbers else iter(())
    try:
        return [next(wide) if number == _WIDE else number for number in numbers]
    except StopIteration:
        raise Unprovable from None


def _wide_numbers(extra: bytes) -> Iterator[int]:
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == _ZIP64:
            whole = extra[at : at + length // 8 * 8]
            return (number for (number,) in struct.iter_unpack("<Q", whole))
        at += length
    return iter(())
