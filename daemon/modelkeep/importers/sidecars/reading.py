"""Read a file beside a model: bounded, whatever its bytes, and without touching it."""

import codecs
import hashlib
import os
import re
from dataclasses import dataclass

from modelkeep.disk.opening import open_for_reading
from modelkeep.domain.encodings import FALLBACK_ENCODING, REPLACEMENT, decode_loosely
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.loose_json import load_json
from modelkeep.importers.sidecars.base import FoundSidecar

BYTES_MAX = 32 * 2**20
"""Answers of Civitai with whole workflows in them take some megabytes."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT_LINE = re.compile(r"^[ \t]*//.*$", re.MULTILINE)

NOT_READABLE = "parts of it are in no known encoding and became U+FFFD"
NOT_FINITE = "it held NaN, Infinity or broken characters, now null or U+FFFD"


def not_utf8(encoding: str) -> str:
    """Return the remark about a text that was read in another encoding."""
    return f"parts of it are no UTF-8 and were read as {encoding}"


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text and what was odd about it."""

    value: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadObject:
    """A JSON object and what was odd about it; or why there is none, and whether that is because it is broken."""

    value: JsonObject
    remarks: tuple[str, ...] = ()
    fault: str = ""
    is_broken: bool = True


def read_bytes(path: str) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: it cannot be read, is none, or is larger than a sidecar may be.
    """
    return content_of(open_for_reading(path))


def content_of(descriptor: int) -> bytes:
    """Return the content of an open file, and close it.

    Raises:
        OSError: it cannot be read, or is larger than a sidecar may be.
    """
    with open(descriptor, "rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise OSError(f"it is larger than {BYTES_MAX // 2**20} MB")
    return content


def open_beside(found: FoundSidecar) -> int:
    """Open a sidecar; a link is followed in its folder, and to the one in which the model itself lies.

    What it says is shown to whoever may ask the daemon, and whoever may write beside a model may make a link.

    Raises:
        OSError: it cannot be opened, is no regular file, or leads elsewhere.
    """
    descriptor = open_for_reading(found.path)
    beside = {os.path.realpath(os.path.dirname(found.path))}
    beside |= {os.path.dirname(os.path.realpath(model)) for model in found.models if os.path.isfile(model)}
    # Asked of what is open, for a name may lead elsewhere by now.
    if os.path.dirname(os.path.realpath(f"/proc/self/fd/{descriptor}")) not in beside:
        os.close(descriptor)
        raise OSError("it is a link to a file elsewhere, which is not followed")
    return descriptor


def digest_of(data: bytes) -> str:
    """Return what tells whether a sidecar is the same as before."""
    return hashlib.sha256(data).hexdigest()


def refusal(found: FoundSidecar, reason: str) -> Refusal:
    """Return that a sidecar cannot be taken."""
    return Refusal(os.path.basename(found.path), found.path, reason)


def as_text(data: bytes, fallback: str = FALLBACK_ENCODING) -> ReadText:
    """Return what the bytes of a text say: UTF-8, and what is none in the encoding to fall back on."""
    encoding = "utf-8"
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    try:
        return ReadText(data.decode(encoding))
    except UnicodeDecodeError:
        pass
    text = decode_loosely(data, fallback) if encoding == "utf-8" else data.decode(encoding, "replace")
    has_lost = REPLACEMENT in text and REPLACEMENT.encode() not in data
    return ReadText(text, (NOT_READABLE if has_lost else not_utf8(fallback),))


def as_object(data: bytes, fallback: str = FALLBACK_ENCODING, *, comments: bool = False) -> ReadObject:
    """Return the JSON object that bytes hold.

    Args:
        data: the whole file.
        fallback: encoding in which what is no UTF-8 is read.
        comments: lines that begin with `//` are left out, as the tool's own reader does.
    """
    text = as_text(data, fallback)
    if not text.value.strip():
        return ReadObject({}, fault="it is empty")
    loaded = load_json(text.value, note_repeated=True)
    if loaded.fault and comments:
        loaded = load_json(_COMMENT_LINE.sub("", text.value), note_repeated=True)
    if loaded.fault:
        return ReadObject({}, fault=f"it {loaded.fault}")
    if not isinstance(loaded.value, dict):
        return ReadObject({}, fault="it holds no JSON object", is_broken=False)
    remarks = [*text.remarks, *([NOT_FINITE] if loaded.is_replaced else ())]
    if loaded.repeated:
        remarks.append(
            f"keys that it bears more than once count as they stand last: {', '.join(loaded.repeated[:20])}"
        )
    return ReadObject(loaded.value, tuple(remarks))
