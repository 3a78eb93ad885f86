"""Images in a header are taken as bytes that nobody trusts; what is none is nothing."""

import base64
import json

import numpy
import pytest
from safetensors.numpy import save
from tests.image_files import jpeg, png

from modelkeep.domain.header_images import IMAGES_MAX, header_images

URL = "data:image/jpeg;base64,"


def images_in(**said: str) -> list[bytes]:
    metadata = {key.replace("__", "."): value for key, value in said.items()}
    content = save({"w": numpy.ones(4, dtype=numpy.float32)}, metadata=metadata)
    return header_images(len(content), lambda offset, length: content[offset : offset + length])


def text(image: bytes) -> str:
    return base64.b64encode(image).decode()


def test_the_thumbnail_comes_before_the_covers_and_others() -> None:
    covers = json.dumps([text(b"one"), text(b"two")])
    found = images_in(another=URL + text(b"other"), ssmd_cover_images=covers, modelspec__thumbnail=URL + text(jpeg()))
    assert found == [jpeg(), b"one", b"two", b"other"]
    assert images_in(modelspec__thumbnail=text(png())) == [png()]


@pytest.mark.parametrize(
    "said", ["", "None", "[", "[1, null, {}]", "[" * 50_000, URL + "%%%", URL, "data:text/html;base64,AAAA", "\udcff"]
)
def test_what_is_no_image_is_nothing(said: str) -> None:
    spelled = said.encode("utf-8", "replace").decode()
    assert images_in(modelspec__thumbnail=spelled) in ([], [base64.b64decode("None")])
    assert images_in(ssmd_cover_images=spelled) in ([], [base64.b64decode("None")])


def test_few_are_looked_at() -> None:
    assert len(images_in(ssmd_cover_images=json.dumps([text(b"x")] * 1_000))) == IMAGES_MAX


def test_a_file_of_another_format_has_none() -> None:
    assert header_images(9, lambda *_: b"GGUF12345") == []
    assert header_images(0, lambda *_: b"") == []
