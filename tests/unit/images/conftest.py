"""Images that the tests make with Pillow, so that nothing binary has to be kept in the repository."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture
def encode() -> Encode:
    """Encode an image: `encode(image, "PNG", …)` gives the bytes of the file."""

    def encode_image(image: Image.Image, format_: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, format_, **options)
        return file.getvalue()

    return encode_image


@pytest.fixture
def halves() -> Callable[..., Image.Image]:
    """Make an image whose left half has one colour and whose right half has another."""

    def make(mode: str, left: Any, right: Any, size: tuple[int, int] = (64, 48)) -> Image.Image:
        image = Image.new(mode, size, left)
        image.paste(right, (size[0] // 2, 0, *size))
        return image

    return make


@pytest.fixture
def photo() -> Image.Image:
    """Return an image that compresses badly enough to be cut at many places."""
    noise = [Image.effect_noise((320, 200), 90) for _ in range(3)]
    return Image.merge("RGB", noise)
