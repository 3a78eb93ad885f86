"""What one side of a comparison says: a row of the queue, a model, or a model as it would be. Pure."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.description import TEXTS

_NOT_SHOWN = frozenset({"images", "images_count"})
"""Keys of `meta_json` that are derived; the images have a line of their own."""


def comparable(side: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known on one side as texts by (dotted) key, with its tags; nothing that is empty."""
    tags = ", ".join(sorted(tag_names(side)))
    return texts_of(side) | ({"tags": tags} if tags else {})


def texts_of(side: Mapping[str, Any]) -> dict[str, str]:
    """Return the same without the tags."""
    values = {name: str(side[name]) for name in TEXTS} | _flattened(side["meta_json"])
    return {key: value for key, value in values.items() if value}


def tag_names(side: Mapping[str, Any]) -> list[str]:
    """Return the names of one side's tags."""
    return [str(tag["name"]) for tag in side["tags"]]


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values by dotted key, as the journal and `lost_keys` name them."""
    flat: dict[str, str] = {}
    for key, inner in value.items():
        if not prefix and key in _NOT_SHOWN:
            continue
        if isinstance(inner, dict):
            flat |= _flattened(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _as_text(inner)
    return flat


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {text}" for key, inner in value.items() if (text := _as_text(inner)))
    if isinstance(value, list):
        # Objects on a line each: they hold commas themselves.
        return ("\n" if any(isinstance(item, Mapping) for item in value) else ", ").join(map(_as_text, value))
    return str(value)
