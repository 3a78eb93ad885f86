"""The prompt that programs write into the images that they make."""

import io
import re

from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.values import JsonObject
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.sidecars.reading import as_text

TEXT_CHARS_MAX = 100_000
_FORMATS = ("PNG", "JPEG", "WEBP")
_USER_COMMENT, _EXIF = 0x9286, 0x8769
_NEGATIVE = re.compile(r"^Negative prompt:[ ]?", re.MULTILINE)
_SETTINGS = re.compile(r"^Steps: [0-9]+, ", re.MULTILINE)
_ASCII, _UNICODE = b"ASCII\x00\x00\x00", b"UNICODE\x00"


def prompt_in(image: bytes, fallback: str = FALLBACK_ENCODING) -> JsonObject:
    """Return what made an image, as A1111 and those after it write it down; an empty object where nothing is."""
    text = clean(_parameters(image, fallback)[:TEXT_CHARS_MAX].rstrip("\0")).strip()
    if not text:
        return {}
    settings = _SETTINGS.search(text)
    before = text[: settings.start()] if settings else text
    prompt, _, negative = (piece.strip() for piece in _NEGATIVE.sub("\0", before, count=1).partition("\0"))
    said = {"prompt": prompt, "negative_prompt": negative, "settings": text[settings.start() :] if settings else ""}
    return {key: value for key, value in said.items() if value} if prompt else {}


def _parameters(image: bytes, fallback: str) -> str:
    from PIL import Image  # reading sidecars without images needs none of it

    try:
        with Image.open(io.BytesIO(image), formats=_FORMATS) as opened:
            text, exif = opened.info.get("parameters"), opened.info.get("exif")
        if isinstance(text, str):
            return clean(text)
        if not isinstance(exif, bytes):
            return ""
        # Not `getexif`, which decodes a whole PNG to look for what may stand behind its pixels.
        known = Image.Exif()
        known.load(exif)
        return _comment(known.get_ifd(_EXIF).get(_USER_COMMENT), fallback)
    except Exception:  # whatever a broken image does to a decoder: it holds no prompt
        return ""


def _comment(value: object, fallback: str) -> str:
    """Return an EXIF comment, the first eight bytes of which name its coding (EXIF 2.3, 4.6.5)."""
    if not isinstance(value, bytes):
        return clean(value) if isinstance(value, str) else ""
    if value.startswith(_UNICODE):
        content = value[8:]
        # Nothing tells the order of its bytes; the first character of a prompt is mostly of a western language.
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    return as_text(value.removeprefix(_ASCII), fallback).value
