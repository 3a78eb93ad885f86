"""The header of a WebP file, read without a decoder (https://developers.google.com/speed/webp/docs/riff_container)."""

from pathlib import Path

from modelkeep.domain.images import HIGH_PIXELS, Tier, tier_size
from modelkeep.domain.values import ImageRow

HEADER_BYTES = 30


def fault_of_tier(path: Path, row: ImageRow, tier: Tier) -> str:
    """Return what is wrong with a published image as far as its header tells, empty when nothing is.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head, size_bytes = file.read(HEADER_BYTES), path.stat().st_size
    found = webp_size(head, size_bytes)
    if found is None:
        return "is cut off or no WebP"
    expected = tier_size((row.width, row.height), tier)
    if found != expected:
        return f"has {found[0]} x {found[1]} pixels instead of {expected[0]} x {expected[1]}"
    if found[0] * found[1] > HIGH_PIXELS:
        return f"has {found[0]} x {found[1]} pixels, more than two megapixels"
    return ""


def webp_size(head: bytes, size_bytes: int) -> tuple[int, int] | None:
    """Return width and height in pixels, None when it is no whole WebP.

    Args:
        head: the first `HEADER_BYTES` of the file.
        size_bytes: the size of the file.
    """
    if len(head) < HEADER_BYTES or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if size_bytes < int.from_bytes(head[4:8], "little") + 8:
        return None
    return _size_by_kind(head[12:16], head[20:])


def _size_by_kind(kind: bytes, payload: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X":  # one less than the size, 24 bits each
        return _number(payload[4:7]) + 1, _number(payload[7:10]) + 1
    if kind == b"VP8L" and payload[0] == 0x2F:  # one less than the size, 14 bits each
        bits = _number(payload[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and payload[3:6] == b"\x9d\x01\x2a":  # 14 bits each; the other two scale
        return _number(payload[6:8]) & 0x3FFF, _number(payload[8:10]) & 0x3FFF
    return None


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "little")
