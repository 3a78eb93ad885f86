"""From the bytes of a foreign image to its three tiers: everything that touches Pillow, and nothing else.

Pillow is a foreign decoder fed with foreign bytes. Only the formats named here are tried (it opens 43), the size that
the header states is checked before anything is decoded, and whatever it raises becomes a sentence for the owner.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from modelkeep.domain.images import SOURCE_PIXELS, SOURCE_SIDE, TIERS, high_size, tier_size
from modelkeep.errors import ImageError, ImageTooLarge
from modelkeep.images.last_row import LastRow
from modelkeep.images.png_size import lacks_pixels

T = TypeVar("T")

# Naming the readers also registers them; else Pillow imports all of its formats to open the first WebP or TIFF.
_READERS: Mapping[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
FORMATS = tuple(format_ for format_ in _READERS if format_ != "AVIF" or AvifImagePlugin.SUPPORTED)

WEBP_SIDE_MAX = 16_383
"""Longest side in pixels that a WebP can have (https://developers.google.com/speed/webp/faq)."""

_WEBP_METHOD = 2
"""Pillow's default of 4 takes 2.5 to 3 times as long, for files 3 to 6 % smaller and 0.3 dB more alike, which nobody
sees (ten photographs at the qualities of the tiers; 3 saves nothing, 1 and 0 make files 15 to 28 % larger)."""

# Pillow raises above twice this and only warns in between, so half of our limit makes it a hard one. It is looked at
# before WebP and GIF, which allocate as soon as they are opened, do so.
Image.MAX_IMAGE_PIXELS = SOURCE_PIXELS // 2

_TURNS: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of an EXIF orientation upright (EXIF 2.3, tag 0x0112)."""

_WHITES = (1.0, 255.0, 65_535.0)
"""Values that stand for white in images of whole or real numbers, whose files do not say which is meant."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """The encoded tiers by quality, and the size in pixels of the high one."""

    width: int
    height: int
    files: Mapping[str, bytes]


def render_tiers(data: bytes, name: str) -> Tiers:
    """Decode an image and encode its tiers: upright, sRGB, alpha kept, metadata left behind, first frame only.

    Args:
        data: the bytes of the source image.
        name: its base name, for the error's sentence.

    Raises:
        ImageError: it is no image of a known format, damaged, or larger than `SOURCE_PIXELS`.
    """
    return _at_the_border(lambda: _encode(_decode(data)), data, name)


def require_image(data: bytes, name: str) -> None:
    """Make sure that bytes decode as an image within the limits.

    Raises:
        ImageError: as `render_tiers`.
    """
    _at_the_border(lambda: _load(data), data, name)


def as_png(data: bytes, name: str) -> bytes:
    """Return an image as PNG.

    Raises:
        ImageError: as `render_tiers`.
    """

    def encode() -> bytes:
        written = io.BytesIO()
        _load(data).save(written, "PNG")
        return written.getvalue()

    return _at_the_border(encode, data, name)


def _at_the_border(work: Callable[[], T], data: bytes, name: str) -> T:
    """Return what decoding gives; whatever it raises becomes a sentence for the owner."""
    with warnings.catch_warnings():
        # Images between half the limit and the limit are fine, and remarks about odd metadata are for nobody.
        warnings.simplefilter("ignore")
        try:
            return work()
        except ImageError as error:
            raise type(error)(f"{name} {error}") from error
        except Image.DecompressionBombError as error:
            raise _too_large(data, name) from error
        except UnidentifiedImageError as error:
            raise _unidentified(data, name) from error
        except MemoryError as error:
            raise ImageError(f"{name} needs more memory to decode than there is") from error
        except Exception as error:
            # The decoder's border: damaged bytes make it raise OSError, SyntaxError, ValueError, EOFError, KeyError,
            # struct.error, zlib.error, RecursionError and more, and nothing says that these are all.
            raise ImageError(f"{name} is cut off or damaged ({error or type(error).__name__})") from error


def stored_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels of the high tier: that of `high_size`, or what WebP can hold of it."""
    width, height = high_size(width, height)
    longest = max(width, height)
    if longest <= WEBP_SIDE_MAX:
        return width, height
    return max(1, width * WEBP_SIDE_MAX // longest), max(1, height * WEBP_SIDE_MAX // longest)


def _open(data: bytes) -> ImageFile.ImageFile:
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    longest = max(opened.size)
    if longest > SOURCE_SIDE:
        # Whatever is done to so many rows takes long for however few pixels.
        raise ImageTooLarge(f"has a side of {longest} pixels; at most {SOURCE_SIDE} are taken")
    return opened


def _load(data: bytes) -> ImageFile.ImageFile:
    opened = _open(data)
    if not LastRow.can_tell(opened, len(data)):
        _require_pixels(opened, data)
        opened.load()
        return opened
    last_row = LastRow(opened)
    opened.load()
    if not last_row.is_written(opened):
        _require_pixels(opened, data)
    return opened


def _require_pixels(opened: ImageFile.ImageFile, data: bytes) -> None:
    if opened.format == "PNG" and lacks_pixels(data):
        raise ImageError("is cut off or damaged (it holds fewer pixels than it says)")


def _decode(data: bytes) -> Image.Image:
    opened = _load(data)
    turn = _turn(opened)
    profile = opened.info.get("icc_profile")
    # Shrinking comes before turning and colours: on two megapixels instead of a hundred they cost nothing.
    image = _shrink(_smooth(opened))
    if turn is not None:
        image = image.transpose(turn)
    return _to_srgb(image, profile)


def _encode(high: Image.Image) -> Tiers:
    files = {}
    image = high
    for tier in TIERS:
        # Each is scaled from the one before: fewer pixels to read, and no difference that could be seen.
        size = tier_size(high.size, tier)
        if size != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "WEBP", quality=tier.webp_quality, method=_WEBP_METHOD)
        files[tier.quality] = file.getvalue()
    return Tiers(high.width, high.height, files)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what makes a loaded image upright.

    `ImageOps.exif_transpose` would also write the EXIF block anew, which fails for images whose pixels are fine.
    """
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        # The decoder's border again: a broken EXIF block raises anything, and is no reason to refuse the pixels.
        return None


def _smooth(image: Image.Image) -> Image.Image:
    """Return the image in a mode whose neighbouring pixels can be blended."""
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    if image.mode in ("I", "F"):
        return _from_numbers(image)
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    # CMYK stays until its colour profile has been seen.
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion to 8 bits cuts off at 255: nearly all would be white.
    values = image.convert("I")
    grey = values.point([round(value / 257) for value in range(65_536)], "L")
    transparent = grey.info.pop("transparency", None)
    if transparent is not None:
        grey.putalpha(values.point([0 if value == transparent else 255 for value in range(65_536)], "L"))
    return grey


def _from_numbers(image: Image.Image) -> Image.Image:
    values = image.convert("F")
    low, high = (float(extreme) for extreme in image.getextrema())  # type: ignore[arg-type]  # one band: two numbers
    black = min(low, 0.0)
    white = next((white for white in _WHITES if high <= white), high)
    scale = 255.0 / (white - black)
    offset = 0.5 - black * scale
    return values.point(lambda value: value * scale + offset).convert("L")


def _shrink(image: Image.Image) -> Image.Image:
    size = stored_size(*image.size)
    if size == image.size:
        return image
    # The gap halves very large images first; from 3.0 on the result is that of the slow way (Pillow's manual).
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    has_alpha = image.mode in ("RGBA", "LA")
    if not isinstance(profile, bytes):
        mode = "RGBA" if has_alpha else "RGB"
        return image if image.mode == mode else image.convert(mode)
    if not has_alpha:
        return _apply_profile(image, profile)
    opaque = _apply_profile(image.convert(image.mode.removesuffix("A")), profile)
    opaque.putalpha(image.getchannel("A"))
    return opaque


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return an RGB image whose colours are sRGB; those of a profile that cannot be used are taken as they are."""
    with contextlib.suppress(ImageCms.PyCMSError, ImportError):
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        if "srgb" not in ImageCms.getProfileDescription(source).lower():
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def _too_large(data: bytes, name: str) -> ImageError:
    size = None
    # Pillow's refusal does not tell the size; the format's own reader takes it from the header. Those of WebP and GIF
    # refuse by themselves.
    with contextlib.suppress(Image.DecompressionBombError):
        reader = _READERS.get(_format_by_first_bytes(data))
        size = reader(io.BytesIO(data)).size if reader else None
    stated = f"is {size[0]} x {size[1]} pixels" if size else "has too many pixels"
    return ImageTooLarge(f"{name} {stated}; at most {SOURCE_PIXELS // 1_000_000} megapixels are taken")


def _unidentified(data: bytes, name: str) -> ImageError:
    format_ = _format_by_first_bytes(data)
    if format_:
        return ImageError(f"{name} is cut off or damaged (it begins like {format_})")
    return ImageError(f"{name} is not an image: it is none of {', '.join(FORMATS)}")


def _format_by_first_bytes(data: bytes) -> str:
    for format_ in FORMATS:
        accepts = Image.OPEN[format_][1]
        if accepts is not None and accepts(data[:16]):
            return format_
    return ""
