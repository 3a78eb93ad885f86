"""Preview images for the demo library: a coloured gradient, some circles and a title, in several formats."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

_ORIENTATION = 0x0112
"""EXIF tag; 6 says: turn a quarter to the right to see it upright."""
_FRAMES = 6

Colour = tuple[int, int, int]


def draw_preview(kind: str, title: str, path: Path) -> None:
    """Write a preview image.

    Args:
        kind: one of `KINDS`.
        title: written into it; also chooses the colours.
        path: where it goes; its ending has to fit the kind.
    """
    KINDS[kind](title, path)


def _png(title: str, path: Path) -> None:
    _drawn(title, (512, 768)).save(path, "PNG")


def _large_png(title: str, path: Path) -> None:
    _drawn(title, (1600, 2000)).save(path, "PNG")


def _lying_jpeg(title: str, path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    _drawn(title, (600, 900)).rotate(90, expand=True).save(path, "JPEG", quality=85, exif=exif)


def _jpeg(title: str, path: Path) -> None:
    _drawn(title, (640, 640)).save(path, "JPEG", quality=85)


def _webp_with_alpha(title: str, path: Path) -> None:
    image = _drawn(title, (512, 512)).convert("RGBA")
    image.putalpha(ImageOps.invert(Image.radial_gradient("L").resize(image.size)))
    image.save(path, "WEBP", quality=80)


def _animated_gif(title: str, path: Path) -> None:
    frames = [_drawn(f"{title} {number}", (256, 256)) for number in range(1, _FRAMES + 1)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)


def _no_image(title: str, path: Path) -> None:
    path.write_text(f"404 Not Found: the preview of {title} was never downloaded\n", encoding="utf-8")


KINDS: Mapping[str, Callable[[str, Path], None]] = {
    "png": _png,
    "large png": _large_png,
    "jpeg": _jpeg,
    "lying jpeg": _lying_jpeg,
    "webp": _webp_with_alpha,
    "gif": _animated_gif,
    "text": _no_image,
}


def _drawn(title: str, size: tuple[int, int]) -> Image.Image:
    chosen = hashlib.sha256(title.encode()).digest()
    dark, bright = _colour(chosen, 0, 0), _colour(chosen, 3, 128)
    image = ImageOps.colorize(Image.linear_gradient("L").resize(size), dark, bright)
    draw = ImageDraw.Draw(image)
    width, height = size
    for index in range(5):
        across, down, radius = (chosen[6 + 3 * index + offset] / 255 for offset in range(3))
        centre, reach = (across * width, down * height), width * (0.06 + radius / 6)
        draw.circle(centre, reach, outline=bright, width=max(2, width // 100))
    font = ImageFont.load_default(max(14, width // 14))
    draw.text(
        (width / 2, height / 2), title, fill="white", font=font, anchor="mm", stroke_width=2, stroke_fill="black"
    )
    return image


def _colour(chosen: bytes, start: int, least: int) -> Colour:
    red, green, blue = (least + value // 2 for value in chosen[start : start + 3])
    return red, green, blue
