"""`STEM.md` of ComfyUI Model Manager: YAML between two lines, then Markdown."""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from modelkeep.domain.knowledge import Grade, Meaning, Origin, SourceRecord, Text, TextFormat
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import judge_hashes
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.loose_json import DEPTH_MAX
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_text, refusal
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.rgthree import civitai_page
from modelkeep.importers.sidecars.values import object_of, text, texts

KIND = "model-manager"
FRONT_MATTER_CHARS_MAX = 20_000
FRONT_MATTER_BRACKETS_MAX = 200
"""A reader of YAML takes a second for as many characters, and half a minute for 5,000 brackets in a row."""

_NUMBER_BITS_MAX = 1_024
"""YAML writes numbers in hexadecimal too, of more digits than Python writes in decimal."""

BODY_BYTES_MAX = 4 * 2**20
_TELLING = frozenset({"author", "baseModel", "hashes", "metadata", "modelPage", "preview", "website"})
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^# +(.+?)[ \t]*\r?$", re.MULTILINE)
_WORDS, _VERSION = "trigger words", "about this version"
_NO_WORDS = "no trigger words"
_NO_TITLE = "None"
"""What it calls every model of Hugging Face, whose answers have no name."""


class ModelManagerFormat:
    """Reads `STEM.md`."""

    kinds = frozenset({KIND})
    suffixes = (".md",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken; without a model only what the tool itself wrote."""
        if len(data) > BODY_BYTES_MAX:
            return refusal(found, "it is longer than any description") if found.models else None
        read = as_text(data, found.fallback_encoding)
        matched = _FRONT_MATTER.match(read.value)
        front, fault = _front_matter(matched[1]) if matched else ({}, "")
        is_tools = len(front.keys() & _TELLING) > 1
        if not (found.models or is_tools):
            return None
        if fault:
            return refusal(found, fault)
        body = text(read.value[matched.end() :] if matched else read.value)
        claims, odd = judge_hashes(object_of(front.get("hashes")), Grade.D, model_names(found))
        meaning = _meaning(front, body)
        if meaning.is_empty and not claims:
            return None
        return record_of(
            found,
            data,
            KIND,
            meaning=meaning,
            owned=frozenset() if is_tools else frozenset({"description"}),
            raw={"front_matter": front, "text": body},
            claims=claims,
            remarks=(*read.remarks, *odd),
        )


def _front_matter(content: str) -> tuple[JsonObject, str]:
    """Return what stands between the lines, and why it cannot be read."""
    import yaml  # only those who have such a file need it

    brackets = content.count("[") + content.count("{")
    if len(content) > FRONT_MATTER_CHARS_MAX or brackets > FRONT_MATTER_BRACKETS_MAX:
        return {}, "its front matter is too long to be read"
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=yaml.SafeLoader)):
            return {}, "its YAML refers to itself, which may make much out of little"
        value = _plain(yaml.safe_load(content), 0)
    except yaml.constructor.ConstructorError as error:
        return {}, f"its YAML bears an unsafe tag or key: {clean(str(error.problem))}"
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return {}, "its front matter is not valid YAML"
    return (value, "") if isinstance(value, dict) else ({}, "")


def _plain(value: Any, depth: int) -> Any:
    """Return a YAML value as one that JSON has a form for."""
    if depth > DEPTH_MAX:
        return None
    if isinstance(value, dict):
        return {clean(str(key)): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value.bit_length() > _NUMBER_BITS_MAX:
        return None
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float) else clean(value)


def _meaning(front: Mapping[str, Any], body: str) -> Meaning:
    parts = _parts(body)
    words = parts.pop(_WORDS, "") if parts else ""
    parts.pop(_VERSION, None)
    named = _HEADING.findall(body) if parts else []
    title = text(named[-1]) if named else ""
    return Meaning(
        title="" if title == _NO_TITLE else title,
        description=Text(body, TextFormat.MARKDOWN) if body else Text(),
        base_model=civitai.base_model(front.get("baseModel")),
        author=text(front.get("author")),
        trigger_words=() if words.casefold() == _NO_WORDS else texts(words.split(",")),
        origins=_origins(text(front.get("modelPage")), text(front.get("website"))),
    )


def _parts(body: str) -> dict[str, str]:
    """Return the parts that the tool writes, by their headings in small letters; nothing once they are edited."""
    pieces = _HEADING.split(body)
    parts = {heading.casefold(): text(content) for heading, content in zip(pieces[1::2], pieces[2::2], strict=True)}
    is_whole = len(pieces) >= 7 and not text(pieces[0]) and {_WORDS, _VERSION} <= parts.keys()
    return parts if is_whole and len(parts) > 2 else {}


def _origins(page: str, website: str) -> tuple[Origin, ...]:
    if not page:
        return ()
    return civitai_page(page) or (Origin("huggingface" if website.casefold() == "huggingface" else "url", url=page),)
