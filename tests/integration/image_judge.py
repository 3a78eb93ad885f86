"""Whether published images are what the product promises, judged by their pixels."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageStat

HIGH_PIXELS = 2_000_000
SHARES = {"high": 1.0, "medium": 0.66, "low": 0.33}
COLOUR_TOLERANCE = 24.0
"""Mean difference (of 255) between a tier and its source, both shrunk; a wrong turn or frame has three times it."""


def is_usable(source: Path) -> bool:
    """Return whether a source image can be decoded and is not larger than 100 megapixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source) as opened:
                if opened.width * opened.height > 100_000_000:
                    return False
                opened.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def faults_of_published(folder: Path, image: Mapping[str, Any], source: Path | None) -> Iterator[str]:
    """Yield what is wrong with the three files of an image; `image` is its row in the catalogue."""
    upright = _upright(source) if source is not None else None
    high = (image["width"], image["height"])
    if upright is not None and not _is_high_size(high, upright.size):
        yield f"{high} in the catalogue for a source of {upright.size}"
    for quality, share in SHARES.items():
        path = folder / f"{image['sha256']}_{image['seq']}_{quality}.webp"
        if not path.is_file():
            yield f"no file of {quality}"
            continue
        with Image.open(path) as tier:
            tier.load()
            yield from (f"{quality} {fault}" for fault in _faults(tier, high, share, upright))


def _faults(tier: Image.Image, high: tuple[int, int], share: float, upright: Image.Image | None) -> Iterator[str]:
    if tier.format != "WEBP":
        yield f"is {tier.format}"
    expected = tuple(max(1, side * share) for side in high)
    if any(abs(side - wanted) > 1 for side, wanted in zip(tier.size, expected, strict=True)):
        yield f"is {tier.size}, not about {expected}"
    if tier.getexif() or any(key in tier.info for key in ("exif", "xmp", "icc_profile")):
        yield "holds metadata"
    if getattr(tier, "n_frames", 1) != 1:
        yield "moves"
    if upright is None:
        return
    if _has_alpha(upright) != _has_alpha(tier):
        yield f"is {tier.mode} of a source in {upright.mode}"
    elif _difference(tier, upright) > COLOUR_TOLERANCE:
        yield f"does not look like its source: {_difference(tier, upright):.0f} of 255 apart"


def _is_high_size(high: tuple[int, int], source: tuple[int, int]) -> bool:
    if source[0] * source[1] <= HIGH_PIXELS:
        return high == source
    same_shape = abs(high[0] / high[1] - source[0] / source[1]) < 0.01
    return same_shape and 0.97 * HIGH_PIXELS < high[0] * high[1] <= HIGH_PIXELS


def _upright(source: Path) -> Image.Image | None:
    if not is_usable(source):
        return None
    with Image.open(source) as opened:
        opened.seek(0)
        opened.load()
        turned = ImageOps.exif_transpose(opened)
        return turned.convert("RGBA" if turned.has_transparency_data else "RGB")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)


def _difference(one: Image.Image, other: Image.Image) -> float:
    small = [_flat(image).resize((16, 16), Image.Resampling.BOX) for image in (one, other)]
    return max(ImageStat.Stat(ImageChops.difference(*small)).mean)


def _flat(image: Image.Image) -> Image.Image:
    """Return the image on white, so that colours under full transparency do not count."""
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
