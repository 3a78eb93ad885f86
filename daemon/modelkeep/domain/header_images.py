"""The images that headers and sidecars hold as text: data URLs, and lists of them without their beginning."""

import base64
import binascii
import json
import re
from collections.abc import Iterable

from modelkeep.domain.header import ReadAt
from modelkeep.domain.safetensors_metadata import HEADER_BYTES_MAX, read_metadata

IMAGES_MAX = 8
"""More are not looked at until one can be used."""

_THUMBNAIL, _COVERS = "modelspec.thumbnail", "ssmd_cover_images"
_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


def header_images(size_bytes: int, read_at: ReadAt) -> list[bytes]:
    """Return the images in a file's header, as bytes that nobody has looked at yet; the thumbnail first.

    Args:
        size_bytes: the file's size.
        read_at: reads it; never more of it than the header.
    """
    prefix = read_at(0, 9)
    length = int.from_bytes(prefix[:8], "little")
    if prefix[8:9] != b"{" or not 2 <= length <= min(HEADER_BYTES_MAX, size_bytes - 8):
        return []
    said: dict[str, object] = {}

    def keep(key: str, value: object) -> None:
        if key in (_THUMBNAIL, _COVERS) or (isinstance(value, str) and _DATA_URL.match(value)):
            said[key] = value

    read_metadata(length, lambda offset, wanted: read_at(8 + offset, wanted), keep)
    ordered = sorted(said, key=lambda key: (key != _THUMBNAIL, key != _COVERS))
    texts = (text for key in ordered for text in _texts(said[key]))
    return [image for text in texts if (image := _decoded(text))][:IMAGES_MAX]


def image_in(value: object) -> bytes:
    """Return the bytes of an image that stands somewhere as a data URL, empty when it is none."""
    return _decoded(value) if isinstance(value, str) and _DATA_URL.match(value.strip()) else b""


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    values = value if isinstance(value, list) else [value]
    return (item for item in values[:IMAGES_MAX] if isinstance(item, str))


def _decoded(text: str) -> bytes:
    """Return the bytes of an image, empty when it is none."""
    try:
        return base64.b64decode(_DATA_URL.sub("", text.strip(), count=1), validate=True)
    except (binascii.Error, ValueError):
        return b""
