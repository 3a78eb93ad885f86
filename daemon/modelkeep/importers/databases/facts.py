"""What all readers of databases make of loosely typed values: hashes, links, JSON within a text."""

import hashlib
from collections.abc import Mapping
from typing import Any

from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Origin
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.legacy_text import as_text, clean
from modelkeep.importers.loose_json import load_json

HUGGING_FACE = "huggingface"
LINK = "url"
"""Kinds of origins."""

JSON_CHARACTERS_MAX = 32 * 2**20


def claims_of(*judged: tuple[HashKind, object, Grade]) -> tuple[HashClaim, ...]:
    """Return those of some hashes that are hashes, and not of nothing."""
    found = (judge_hash(kind, value, grade).claim for kind, value, grade in judged)
    return tuple(claim for claim in found if claim is not None)


def json_in(value: object) -> Any:
    """Return what a JSON text in a database holds; None when it is none, or longer than any tool writes."""
    text = as_text(value)
    return load_json(text).value if text and len(text) <= JSON_CHARACTERS_MAX else None


def object_in(value: object) -> JsonObject:
    """Return the JSON object in a database's text, or an empty one."""
    found = json_in(value)
    return found if isinstance(found, dict) else {}


def links(*values: object) -> tuple[Origin, ...]:
    """Return those values that are web pages; anything but http and https is none."""
    urls = [clean(value).strip() for value in values if isinstance(value, str)]
    return tuple(
        Origin(HUGGING_FACE if url.startswith("https://huggingface.co/") else LINK, url=url)
        for url in dict.fromkeys(urls)
        if url.startswith(("https://", "http://"))
    )


def plain(row: Mapping[str, Any]) -> JsonObject:
    """Return a database row as JSON: what it does not say is left out, bytes are texts."""
    return {name: _plain(value) for name, value in row.items() if value is not None and value != ""}


def digest_of(*values: object) -> str:
    """Return what changes when anything of the values changes."""
    return hashlib.sha256(json_text(values, encoding="ascii").encode("ascii")).hexdigest()


def stem_of(path: str) -> str:
    """Return a model's name without folders and extension; the path may be of any machine."""
    base = path.replace("\\", "/").rpartition("/")[2]
    stem, dot, _ = base.rpartition(".")
    return stem if dot and stem else base


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool) else clean(value)
