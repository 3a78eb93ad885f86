"""A PNG that holds fewer pixels than it says is none, however few its bytes and however many its pixels."""

import io
import os
import struct
import time
import zlib

import pytest
from PIL import Image
from tests.unit.images.test_refusals import png_bomb, png_chunk

from modelkeep.errors import ImageError
from modelkeep.images.last_row import LastRow
from modelkeep.images.png_size import lacks_pixels
from modelkeep.images.tiers import as_png, render_tiers, require_image

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


def encoded(mode: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def interlaced(width: int, height: int, missing_bytes: int = 0) -> bytes:
    """Return a black grey-scale PNG in the seven passes of Adam7."""
    rows = b""
    for column, row, step, row_step in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns = len(range(column, width, step))
        rows += bytes(1 + columns) * (len(range(row, height, row_step)) if columns else 0)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    data = zlib.compress(rows[: len(rows) - missing_bytes])
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (8, 8), (33, 17), (1200, 1100)])
def test_a_whole_image_lacks_nothing(mode: str, size: tuple[int, int]) -> None:
    data = encoded(mode, size)
    assert not lacks_pixels(data)
    require_image(data, "a.png")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (9, 20)])
def test_an_interlaced_image_is_counted_by_its_passes(size: tuple[int, int]) -> None:
    require_image(interlaced(*size), "a.png")
    assert lacks_pixels(interlaced(*size, missing_bytes=1))


def test_a_image_of_few_bytes_and_many_pixels_is_refused_at_once() -> None:
    began = time.process_time()
    for data in (png_bomb(1, 60_000), png_bomb(60_000, 1600), png_bomb(9000, 9000)):
        with pytest.raises(ImageError, match="it holds fewer pixels than it says"):
            render_tiers(data, "a.png")
    for data in (png_bomb(1, 99_000_000), png_bomb(99_000_000, 1)):
        with pytest.raises(ImageError, match=r"^a\.png has a side of 99000000 pixels; at most 65535 are taken$"):
            render_tiers(data, "a.png")
    assert time.process_time() - began < 2


def test_the_narrowest_image_that_is_taken_does_not_take_long() -> None:
    header = struct.pack(">IIBBBBB", 1, 65_535, 16, 6, 0, 0, 0)
    data = zlib.compress(bytes(65_535 * 9))
    whole = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    began = time.process_time()
    assert render_tiers(whole, "a.png").height == 16_383
    assert time.process_time() - began < 2


KINDS = {"L": (0, 1), "RGB": (2, 3), "P": (3, 1), "LA": (4, 2), "RGBA": (6, 4)}
"""Of modes of Pillow: the colour type in the header, and the bytes of a pixel."""


def noise(mode: str, width: int, height: int, missing_bytes: int) -> bytes:
    """Return a PNG whose data ends early and says that this is its end."""
    colour, pixel_bytes = KINDS[mode]
    rows = b"".join(b"\0" + os.urandom(width * pixel_bytes) for _ in range(height))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    palette = png_chunk(b"PLTE", os.urandom(768)) if mode == "P" else b""
    data = png_chunk(b"IDAT", zlib.compress(rows[: len(rows) - missing_bytes]))
    return b"\x89PNG\r\n\x1a\n" + header + palette + data + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("missing_rows", [0, 1, 10])
@pytest.mark.parametrize("missing_bytes", [0, 1])
def test_an_image_that_is_decoded_first_is_missed_no_row_of(mode: str, missing_rows: int, missing_bytes: int) -> None:
    data = noise(mode, 40, 30, missing_rows * (1 + 40 * KINDS[mode][1]) + missing_bytes)
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.mode, LastRow.can_tell(opened, len(data))) == (mode, True)
    if not missing_rows and not missing_bytes:
        render_tiers(data, "a.png")
        return
    # Of a row that has begun Pillow itself says that it does not end; of whole ones that are missing it says nothing.
    with pytest.raises(ImageError, match="is cut off or damaged"):
        render_tiers(data, "a.png")


def test_the_mark_is_not_seen_by_anybody() -> None:
    data = noise("RGB", 40, 30, 0)
    with Image.open(io.BytesIO(data)) as opened:
        assert Image.open(io.BytesIO(as_png(data, "a.png"))).tobytes() == opened.tobytes()
