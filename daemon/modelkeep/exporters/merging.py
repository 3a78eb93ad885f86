"""Put what is known into the object that a file holds: every key that we do not know stays, and in its place.

Only what is empty or missing is filled, unless the owner wants ours to count; a hash that is not the
file's says nothing.
"""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.values import JsonObject


def filled(existing: Mapping[str, Any], ours: Mapping[str, Any], *, prefer_ours: bool) -> JsonObject:
    """Return an object with our values; objects within are filled in the same way.

    Args:
        existing: what the file holds, an empty object for a new file.
        ours: what is known; an empty value says nothing, but stands where a new file needs it.
        prefer_ours: whether ours replaces what is there.
    """
    merged = dict(existing)
    for key, value in ours.items():
        held = existing.get(key)
        if isinstance(held, dict) and isinstance(value, Mapping):
            merged[key] = filled(held, value, prefer_ours=prefer_ours)
        elif key not in existing or (is_empty(held) and not is_empty(value)) or (prefer_ours and not is_empty(value)):
            merged[key] = value
    return merged


def without_refuted(existing: Mapping[str, Any], digests: Mapping[str, str]) -> JsonObject:
    """Return what a file holds without the hashes that the bytes of its model were read not to have.

    Args:
        existing: what the file holds.
        digests: what was read, by the key that it has there; an empty one was not.
    """
    cleared = dict(existing)
    for key, digest in digests.items():
        held = existing.get(key)
        if digest and isinstance(held, str) and held.strip().casefold() != digest.casefold():
            cleared[key] = ""
    return cleared


def is_empty(value: object) -> bool:
    """Return whether a value says nothing; no is an answer."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def without_empty(values: Mapping[str, Any]) -> JsonObject:
    """Return the values that say something."""
    return {key: value for key, value in values.items() if not is_empty(value)}
