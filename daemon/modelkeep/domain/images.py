"""Names and sizes of preview images: `<sha256>_<seq>_<quality>.webp` in three tiers."""

import re
from dataclasses import dataclass

HIGH_PIXELS = 2_000_000
"""Most pixels of the high tier."""

SOURCE_PIXELS = 100_000_000
"""A source image of more pixels is refused before it is decoded."""

SOURCE_SIDE = 65_535
"""A source image with a longer side is refused before it is decoded; a JPEG cannot have one."""

SOURCE_BYTES = 64 * 1024 * 1024
"""A source image of more bytes is refused before it is read."""

SEQ_MAX = 999_999_999
"""The largest sequence number that an image's name can hold."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One quality: its share of the high tier's sides, and the WebP quality 0 to 100."""

    quality: str
    scale: float
    webp_quality: int


TIERS = (Tier("high", 1.0, 80), Tier("medium", 0.66, 60), Tier("low", 0.33, 45))
QUALITIES = tuple(tier.quality for tier in TIERS)

_NAME = re.compile(r"(?P<sha256>[0-9a-f]{64})_(?P<seq>0|[1-9][0-9]{0,8})_(?P<quality>high|medium|low)\.webp")


def image_name(sha256: str, seq: int, quality: str) -> str:
    """Return the base name of a published image."""
    return f"{sha256}_{seq}_{quality}.webp"


def parse_image_name(name: str) -> tuple[str, int, str] | None:
    """Return (sha256, seq, quality) of a published image's base name, or None when it is none."""
    match = _NAME.fullmatch(name)
    return (match["sha256"], int(match["seq"]), match["quality"]) if match else None


def high_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels of the high tier: the source's own, shrunk to `HIGH_PIXELS` when it has more."""
    pixels = width * height
    if pixels <= HIGH_PIXELS:
        return width, height
    factor = (HIGH_PIXELS / pixels) ** 0.5
    return max(1, int(width * factor)), max(1, int(height * factor))


def tier_size(high: tuple[int, int], tier: Tier) -> tuple[int, int]:
    """Return the size in pixels of a tier from that of the high one."""
    return max(1, round(high[0] * tier.scale)), max(1, round(high[1] * tier.scale))


VIDEO_SUFFIXES = (".mp4", ".webm")


def is_video(path: str) -> bool:
    """Return whether a file is named like a video, of which no image is made."""
    return path.lower().endswith(VIDEO_SUFFIXES)
