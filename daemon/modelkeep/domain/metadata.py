"""Pure decisions about `meta_json`: what fills what, what differs, what a merge gives.

A value is *empty* when it says nothing: None, an empty text, list or object, or an object of empty values only.
"""

from collections.abc import Iterator
from typing import Any

from modelkeep.domain.values import JsonObject

DERIVED_KEYS = frozenset({"images_count", "images"})
"""Keys that a front end sends back but that are derived, never stored."""


def is_empty(value: Any) -> bool:
    """Return whether a value says nothing. Zero and False say something."""
    if value is None or value in ("", [], {}):
        return True
    return isinstance(value, dict) and all(is_empty(inner) for inner in value.values())


def merge(existing: JsonObject, incoming: JsonObject) -> JsonObject:
    """Return `existing` with its empty places filled from `incoming`, key by key, deep."""
    merged = dict(existing)
    for key, value in incoming.items():
        held = merged.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            merged[key] = merge(held, value)
        elif is_empty(held) and not (is_empty(value) and key in merged):
            merged[key] = value
    return merged


def override(existing: JsonObject, incoming: JsonObject) -> JsonObject:
    """Return `existing` with every non-empty value of `incoming` in its place, key by key, deep."""
    return merge(_without_replaced(existing, incoming), incoming)


def edited_meta(existing: JsonObject, changes: JsonObject) -> JsonObject:
    """Return `existing` with changes put in key by key, deep; a change to null removes its key (RFC 7396).

    What says nothing does not take the place of nothing: whoever sends back what was shown changes nothing.
    """
    return _patched(existing, {key: value for key, value in changes.items() if key not in DERIVED_KEYS})


def differences(existing: JsonObject, incoming: JsonObject, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys whose non-empty incoming value a merge would lose."""
    for key, value in incoming.items():
        held = existing.get(key)
        if is_empty(value) or is_empty(held):
            continue
        if isinstance(held, dict) and isinstance(value, dict):
            yield from differences(held, value, f"{prefix}{key}.")
        elif held != value:
            yield f"{prefix}{key}"


def _patched(existing: JsonObject, changes: JsonObject) -> JsonObject:
    patched = dict(existing)
    for key, value in changes.items():
        held = existing.get(key)
        if isinstance(value, dict) and (isinstance(held, dict) or not is_empty(value)):
            patched[key] = _patched(held if isinstance(held, dict) else {}, value)
        elif value is None and not is_empty(held):
            del patched[key]
        elif not (is_empty(value) and (is_empty(held) or isinstance(value, dict))):
            patched[key] = value
    return patched


def _without_replaced(existing: JsonObject, incoming: JsonObject) -> JsonObject:
    """Return `existing` without the values that `incoming` replaces."""
    kept: JsonObject = {}
    for key, held in existing.items():
        value = incoming.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            kept[key] = _without_replaced(held, value)
        elif is_empty(value):
            kept[key] = held
    return kept
