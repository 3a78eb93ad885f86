"""A PNG that holds fewer pixels than it says is none, however few its bytes and however many its pixels."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image
from tests.unit.images.test_refusals import png_bomb, png_chunk

from modelkeep.errors import ImageError
from modelkeep.images.png_size import lacks_pixels
from modelkeep.images.tiers import render_tiers, require_image

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
