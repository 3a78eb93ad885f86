"""What `render_tiers` refuses, and that whatever it is fed it answers with a sentence."""

import io
import random
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageFile, features

from modelkeep.domain.images import TIERS
from modelkeep.errors import ImageError
from modelkeep.images.tiers import FORMATS, render_tiers

Encode = Callable[..., bytes]

AVIF = pytest.param("AVIF", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF"))
DAMAGED = r"^a\.png is cut off or damaged \(.+\)$"
NO_IMAGE = r"^a\.png is not an image: it is none of PNG, JPEG, WEBP, GIF, BMP, TIFF(, AVIF)?$"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def webp_bomb(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "WEBP")
    body = b"WEBP" + b"VP8X" + struct.pack("<II", 10, 2) + canvas
    body += b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    frame = bytes(6) + b"\x07\0\0" * 2 + bytes(4) + small.getvalue()[12:]
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_bomb(width: int, height: int, frame: tuple[int, int]) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    replaces = b"!\xf9\x04" + bytes([2 << 2, 0, 0, 0, 0])
    return screen + replaces + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\0;"


def bmp_bomb(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def tiff_bomb(width: int, height: int) -> bytes:
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, height)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (png_bomb(40_000, 40_000), "is 40000 x 40000 pixels"),
        (png_bomb(10_001, 10_000), "is 10001 x 10000 pixels"),
        (png_bomb(2**31 - 1, 2**31 - 1), "is 2147483647 x 2147483647 pixels"),
        (webp_bomb(12_000, 12_000), "has too many pixels"),
        (webp_bomb(60_000, 60_000), "has too many pixels"),
        (gif_bomb(60_000, 60_000, (1, 1)), "is 60000 x 60000 pixels"),
        (gif_bomb(1, 1, (65_535, 65_535)), "has too many pixels"),
        (bmp_bomb(40_000, 40_000), "is 40000 x 40000 pixels"),
        (tiff_bomb(40_000, 40_000), "is 40000 x 40000 pixels"),
    ],
    ids=["png", "png-just-above", "png-largest", "webp", "webp-large", "gif", "gif-frame", "bmp", "tiff"],
)
def test_a_bomb_is_refused_from_its_header_without_its_memory(data: bytes, stated: str) -> None:
    assert refusal_with_memory_for(200, data) == f"a.png {stated}; at most 100 megapixels are taken"


def test_a_image_that_does_not_fit_into_memory_is_refused() -> None:
    assert refusal_with_memory_for(200, bmp_bomb(9000, 9000)) == "a.png needs more memory to decode than there is"


def refusal_with_memory_for(megabytes: int, data: bytes) -> str:
    """Return the sentence with which a process that cannot allocate more than this refuses an image."""
    program = (
        "import resource, sys\n"
        "from modelkeep.errors import ImageError\n"
        "from modelkeep.images.tiers import render_tiers\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({megabytes} * 2**20, {megabytes} * 2**20))\n"
        "try:\n"
        "    render_tiers(sys.stdin.buffer.read(), 'a.png')\n"
        "except ImageError as error:\n"
        "    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, timeout=60, check=True)
    return answer.stdout.decode().removesuffix("\n")


def test_as_many_pixels_as_allowed_are_taken(encode: Encode) -> None:
    tiers = render_tiers(encode(Image.new("L", (10_000, 10_000), 200), "PNG", compress_level=1), "a.png")
    assert (tiers.width, tiers.height) == (1414, 1414)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", AVIF])
def test_an_image_that_is_cut_off_is_refused_wherever_that_is(
    format_: str, photo: Image.Image, encode: Encode
) -> None:
    data = encode(photo, format_)
    for kept_bytes in (16, 24, 33, 60, *(int(len(data) * share) for share in (0.05, 0.25, 0.5, 0.75, 0.95))):
        with pytest.raises(ImageError, match=DAMAGED):
            render_tiers(data[:kept_bytes], "a.png")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_a_jpeg_that_lacks_its_last_rows_is_refused(
    options: dict[str, int], photo: Image.Image, encode: Encode
) -> None:
    data = encode(photo, "JPEG", **options)
    with pytest.raises(ImageError, match=DAMAGED):
        render_tiers(data[:-200], "a.png")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg", "packbits"])
def test_a_compressed_tiff_that_is_cut_off_is_refused(compression: str, photo: Image.Image, encode: Encode) -> None:
    data = encode(photo, "TIFF", compression=compression)
    assert render_tiers(data, "a.png").width == 320
    with pytest.raises(ImageError, match=DAMAGED):
        render_tiers(data[: len(data) // 2], "a.png")


def test_pillow_is_not_told_to_take_what_is_cut_off() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"This is only text, whatever its name says.\n" * 10,
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"<!DOCTYPE html><html></html>",
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
        b"\x1aE\xdf\xa3webm",
        b"\xff\n\xfa\x07\x10 a JPEG XL codestream",
    ],
)
def test_what_is_no_image_is_named_as_such(data: bytes) -> None:
    with pytest.raises(ImageError, match=NO_IMAGE):
        render_tiers(data, "a.png")


@pytest.mark.parametrize("format_", ["PPM", "PCX", "TGA", "ICO", "SGI", "JPEG2000", "EPS", "DDS", "ICNS"])
def test_formats_that_pillow_knows_and_nobody_asked_for_are_refused(format_: str, encode: Encode) -> None:
    data = encode(Image.new("RGB", (64, 64), (255, 0, 0)), format_)
    with pytest.raises(ImageError, match=NO_IMAGE):
        render_tiers(data, "a.png")


def test_a_format_is_told_by_its_bytes_and_not_by_its_name(encode: Encode) -> None:
    assert render_tiers(encode(Image.new("RGB", (5, 4)), "JPEG"), "a.png").width == 5


def test_a_damaged_png_chunk_is_refused(photo: Image.Image, encode: Encode) -> None:
    data = bytearray(encode(photo, "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match=DAMAGED):
        render_tiers(bytes(data), "a.png")


def test_a_side_of_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match=DAMAGED):
        render_tiers(png_bomb(0, 10), "a.png")


def test_a_png_text_bomb_is_refused() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    data = png_bomb(4, 4)
    data = data[:33] + png_chunk(b"zTXt", b"key\0\0" + bomb) + data[33:]
    with pytest.raises(ImageError, match=DAMAGED):
        render_tiers(data, "a.png")


def test_the_sentence_is_one_line(photo: Image.Image, encode: Encode) -> None:
    with pytest.raises(ImageError) as caught:
        render_tiers(encode(photo, "PNG")[:-500], "preview of my model.png")
    assert re.fullmatch(r"preview of my model\.png is cut off or damaged \([^\n]+\)", str(caught.value))


@pytest.mark.parametrize("format_", FORMATS)
def test_flipped_and_missing_bytes_give_a_image_or_a_sentence(format_: str, encode: Encode) -> None:
    chance = random.Random(format_)
    image = Image.effect_noise((24, 16), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encode(image, format_, **({} if format_ in ("GIF", "BMP") else {"exif": exif}))
    outcomes = {"taken": 0, "refused": 0}
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            # Half of the damage goes to the headers, where it does most.
            end = len(data) if chance.random() < 0.5 else min(len(data), 80)
            data[chance.randrange(end)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            assert len(render_tiers(bytes(data), "a.png").files) == len(TIERS)
            outcomes["taken"] += 1
        except ImageError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 0
