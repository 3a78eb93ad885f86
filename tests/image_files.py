"""Images to migrate: of several formats, lying on their side, animated, with alpha, and broken in several ways."""

import io
import struct
import zlib

from PIL import Image, ImageDraw, PngImagePlugin

ORIENTATION = 0x0112
"""The EXIF tag; 6 means: turn it right by a quarter."""


def image(seed: int = 0, size: tuple[int, int] = (120, 80), mode: str = "RGB") -> Image.Image:
    """Return an image no side of which looks like another: red left, green right, a blue top left corner."""
    width, height = size
    made = Image.new("RGB", size, (200, 30, 30))
    draw = ImageDraw.Draw(made)
    draw.rectangle((width // 2, 0, width, height), fill=(30, 180, 30))
    draw.rectangle((0, 0, width // 3, height // 3), fill=(20, 20, 220))
    shade = seed * 37 % 256
    draw.rectangle(
        (width // 2, height // 2, width * 3 // 4, height * 3 // 4), fill=(shade, seed // 7 % 256, 255 - shade)
    )
    if mode != "RGBA":
        return made.convert(mode)
    made.putalpha(Image.linear_gradient("L").resize(size))
    return made


def png(seed: int = 0, size: tuple[int, int] = (120, 80), mode: str = "RGB") -> bytes:
    """Return a PNG with a text in it, as image generators leave their prompts."""
    about = PngImagePlugin.PngInfo()
    about.add_text("parameters", f"seed {seed}")
    return _encoded(image(seed, size, mode), "PNG", pnginfo=about)


def jpeg(seed: int = 0, size: tuple[int, int] = (120, 80)) -> bytes:
    """Return a JPEG."""
    return _encoded(image(seed, size), "JPEG", quality=92)


def lying_jpeg(seed: int = 0, size: tuple[int, int] = (120, 80)) -> bytes:
    """Return a JPEG that EXIF turns upright: what is stored is wide, what is meant is high."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return _encoded(image(seed, size), "JPEG", quality=92, exif=exif)


def webp(seed: int = 0, size: tuple[int, int] = (120, 80), mode: str = "RGBA") -> bytes:
    """Return a WebP with alpha."""
    return _encoded(image(seed, size, mode), "WEBP", lossless=True)


def gif(seed: int = 0, size: tuple[int, int] = (120, 80)) -> bytes:
    """Return an animation whose second frame is another image."""
    first, second = image(seed, size), Image.new("RGB", size, (255, 255, 0))
    return _encoded(first, "GIF", save_all=True, append_images=[second], duration=100, loop=0)


def bmp(seed: int = 0, size: tuple[int, int] = (120, 80)) -> bytes:
    """Return a BMP."""
    return _encoded(image(seed, size), "BMP")


def truncated_png(seed: int = 0) -> bytes:
    """Return a PNG that ends in its middle."""
    whole = png(seed, (300, 300))
    return whole[: len(whole) // 2]


def text_as_image() -> bytes:
    """Return what a broken download leaves under an image's name."""
    return b"<html><body>404 Not Found</body></html>\n"


def gigantic_png() -> bytes:
    """Return a PNG of a few bytes whose header promises 40,000 x 40,000 pixels."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _encoded(made: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    made.save(file, format_, **options)
    return file.getvalue()
