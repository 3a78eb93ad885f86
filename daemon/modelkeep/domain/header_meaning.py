"""What the header of a model file means, as the source record that it is: the maker's words about the model.

ModelSpec 1.0.1 (`modelspec.*`), kohya's sd-scripts (`ss_*`, `sshs_*`), additional networks (`ssmd_*`), what ComfyUI
looks for, and `general.*` of GGUF. Who writes them puts texts everywhere, numbers and lists in JSON or with commas.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable

from modelkeep.domain.content_facts import GGUF
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    Meaning,
    Origin,
    SourceRecord,
    Standing,
    Text,
    TextFormat,
    Weight,
)
from modelkeep.domain.values import JsonObject

KIND = "header"

_ITEMS_MAX = 1_000
_ABSENT = frozenset({"none", "null", ""})
_MARKUP = re.compile(r"</?(p|br|div|span|strong|em|ul|ol|li|a|h[1-6])\b[^>]*>", re.IGNORECASE)
_AIR = re.compile(r"urn:air:[^:]*:[^:]*:civitai:([0-9]+)(?:@([0-9]+))?", re.IGNORECASE)
_TENSORS = re.compile(r"(?:0x)?([0-9a-f]{64})", re.IGNORECASE)
_OF_NOTHING = frozenset({"0" * 64, hashlib.sha256(b"").hexdigest()})


def header_record(content: ContentRow) -> SourceRecord | None:
    """Return what a file's own header says; None when it says nothing."""
    if not content.header:
        return None
    keys = content.header
    return SourceRecord(
        KIND,
        content.sha256,
        hashlib.sha256(json_text(keys).encode("utf-8", "replace")).hexdigest(),
        stem=_text(keys.get("ss_output_name")),  # a trainer's name for the file: as a title it says nothing
        meaning=header_meaning(content.format, keys),
        owned=frozenset(),
        standing=Standing.HEADER,
        raw=keys,
        claims=_claims(keys),
        remarks=(content.problem,) if content.problem else (),
    )


def header_meaning(format_: str, keys: JsonObject) -> Meaning:
    """Return what of a header is understood."""
    return _of_gguf(keys) if format_ == GGUF else _of_safetensors(keys)


def _of_safetensors(keys: JsonObject) -> Meaning:
    return Meaning(
        title=_first(keys, "modelspec.title", "ssmd_display_name", "ss_output_name"),
        description=_described(_first(keys, "modelspec.description", "ssmd_description")),
        base_model=_base_model(keys),
        author=_first(keys, "modelspec.author", "ssmd_author"),
        licence=_first(keys, "modelspec.license"),
        usage_hint=_first(keys, "modelspec.usage_hint"),
        weight=Weight(strength=_number(keys.get("modelspec.lora_default_weight"))),
        rating=_rating(keys.get("ssmd_rating")),
        tags=_lists(keys, "modelspec.tags", "ssmd_tags"),
        trigger_words=_lists(keys, "modelspec.trigger_phrase", "ssmd_keywords", "trained_words"),
        origins=tuple(_origins(keys, "source_url", "repo_url")),
    )


def _of_gguf(keys: JsonObject) -> Meaning:
    return Meaning(
        title=_first(keys, "general.name", "general.basename"),
        version=_first(keys, "general.version"),
        description=_described(_first(keys, "general.description")),
        base_model=_first(keys, "general.base_model.0.name", "general.architecture"),
        author=_first(keys, "general.author", "general.organization"),
        licence=_first(keys, "general.license.name", "general.license"),
        tags=_lists(keys, "general.tags"),
        origins=tuple(
            _origins(keys, "general.url", "general.repo_url", "general.source.url", "general.source.repo_url")
        ),
    )


def _first(keys: JsonObject, *names: str) -> str:
    return next((text for name in names if (text := _text(keys.get(name)))), "")


def _text(value: object) -> str:
    text = value.replace("\0", "").strip() if isinstance(value, str) else ""
    return "" if text.casefold() in _ABSENT else text


def _described(text: str) -> Text:
    return Text(text, TextFormat.HTML if _MARKUP.search(text) else TextFormat.PLAIN)


def _base_model(keys: JsonObject) -> str:
    """Return what the model is made for; of `stable-diffusion-xl-v1-base/lora` what stands before the kind."""
    architecture = _first(keys, "modelspec.architecture").partition("/")[0]
    return architecture or _first(keys, "ss_base_model_version", "ss_sd_model_name")


def _lists(keys: JsonObject, *names: str) -> tuple[str, ...]:
    """Return the distinct items of lists, whether they stand there as such, in JSON, or with commas."""
    items = (item for name in names for item in _items(keys.get(name)))
    return tuple(dict.fromkeys(filter(None, map(_text, items))))


def _items(value: object) -> Iterable[object]:
    if isinstance(value, list):
        return value[:_ITEMS_MAX]
    text = _text(value)
    if text.startswith("["):
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            decoded = None
        if isinstance(decoded, list):
            return decoded[:_ITEMS_MAX]
    return text.split(",")[:_ITEMS_MAX]


def _number(value: object) -> float | None:
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _rating(value: object) -> int | None:
    """Return stars from 1 to 5; none is written as 0."""
    number = _number(value)
    return int(number) if number is not None and 1 <= number <= 5 else None


def _origins(keys: JsonObject, *names: str) -> Iterable[Origin]:
    found = _AIR.fullmatch(_first(keys, "air"))
    if found is not None:
        yield Origin("civitai", found[1], found[2] or "")
    repository = _first(keys, "repo_id")
    if repository:
        yield Origin("huggingface", repository)
    for url in dict.fromkeys(_first(keys, name) for name in names):
        if url.startswith(("https://", "http://")):
            yield Origin("url", url=url)


def _claims(keys: JsonObject) -> tuple[HashClaim, ...]:
    """Return what the header says of the tensors' digest; it is stale after every conversion."""
    said = (
        _TENSORS.fullmatch(_first(keys, name))
        for name in ("modelspec.hash_sha256", "modelspec.hash", "sshs_model_hash")
    )
    values = dict.fromkeys(found[1].lower() for found in said if found is not None)
    return tuple(HashClaim(HashKind.TENSORS, value, Grade.D) for value in values if value not in _OF_NOTHING)
