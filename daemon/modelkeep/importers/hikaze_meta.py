"""Make one `meta` object out of the two JSON columns of Hikaze v1, so that nothing of either is lost.

`extra_json` holds what the owner wrote and wins; `meta_json` fills its empty places. References to images leave
the object, for images are files of their own; whatever cannot be understood stays under a key of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelkeep.domain import metadata
from modelkeep.domain.values import JsonObject
from modelkeep.importers.legacy_text import as_text, clean
from modelkeep.importers.loose_json import TOO_LONG, Loaded, keep_under, load_json

IMAGE_PREFIXES = ("/media/", "media/")
IMAGE_KEYS = ("images", "image", "cover", "preview")
_LEAVING_KEYS = frozenset(IMAGE_KEYS) | metadata.DERIVED_KEYS
TEXT_LENGTH_MAX = 4_000_000
"""Longer texts stay text: `[],[],…` takes thirty times its length once it is read, and everybody waits meanwhile."""


@dataclass(slots=True)
class HikazeMeta:
    """What the two columns of a row say.

    `value` is the object, `references` name images in their order, `unread` are the texts that hold no object by
    the keys under which they are kept, `remarks` tell what was odd.
    """

    value: JsonObject = field(default_factory=dict)
    unread: JsonObject = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_meta(extra_json: object, meta_json: object, find_image: Callable[[str], str]) -> HikazeMeta:
    """Return what the two columns say.

    Args:
        extra_json: the column as the database holds it.
        meta_json: likewise.
        find_image: returns the name of the image that a text means, or empty when it means none.
    """
    found = HikazeMeta()
    if extra_json is None and meta_json is None:
        return found
    extra = _parse(extra_json, "extra_json", found, find_image)
    if meta_json in (None, "", b"") and not found.unread:
        found.value = extra
        return found
    below = _parse(meta_json, "meta_json", found, find_image)
    lost = _lost(extra, below)
    found.value = metadata.merge(extra, below)
    if lost:
        keep_under(found.value, "hikaze_meta_json", lost)
        found.remarks.append("meta_json says otherwise than extra_json; its values are kept under hikaze_meta_json")
    for key, value in found.unread.items():
        keep_under(found.value, key, value)
    return found


def _parse(raw: object, column: str, found: HikazeMeta, find_image: Callable[[str], str]) -> JsonObject:
    """Return a column's object; what is none is kept as text in `found`."""
    text = as_text(raw)
    if not text or text.isspace():
        return {}
    loaded = Loaded(fault=TOO_LONG) if len(text) > TEXT_LENGTH_MAX else load_json(text)
    value, fault = loaded.value, loaded.fault
    if not fault and value is not None and not isinstance(value, dict):
        fault = "is not a JSON object"
    if fault:
        key = f"hikaze_{column}_text"
        found.unread[key] = clean(text)
        found.remarks.append(f"{column} {fault}; its text is kept under {key}")
        return {}
    if loaded.is_replaced:
        found.remarks.append(f"{column} held NaN, Infinity or broken characters, now null or U+FFFD")
    return _without_images(value or {}, found.references, find_image)


def _without_images(value: JsonObject, references: list[str], find_image: Callable[[str], str]) -> JsonObject:
    """Return an object without its image references, which are added to `references`."""
    if _LEAVING_KEYS.isdisjoint(value):
        return value
    taken: dict[str, Any] = {}
    for key in IMAGE_KEYS:
        named, rest = _split(value.get(key), find_image if key == "images" else None)
        references += [reference for reference in named if reference not in references]
        if named or (key in metadata.DERIVED_KEYS and key in value):
            taken[key] = rest
    count = value.get("images_count")
    if "images_count" in value:
        taken["images_count"] = None if isinstance(count, int | float) else count
    kept = {key: inner for key, inner in value.items() if key not in taken}
    for key, rest in taken.items():
        if not metadata.is_empty(rest):
            # `images` of a model is derived from its images: what else it held needs another name.
            keep_under(kept, f"hikaze_{key}" if key in metadata.DERIVED_KEYS else key, rest)
    return kept


def _split(value: Any, find_image: Callable[[str], str] | None) -> tuple[list[str], Any]:
    """Return the image references in a value, and the rest of it."""

    def is_reference(item: Any) -> bool:
        if not isinstance(item, str):
            return False
        return item.startswith(IMAGE_PREFIXES) or (find_image is not None and find_image(item) != "")

    if isinstance(value, list):
        return [item for item in value if is_reference(item)], [item for item in value if not is_reference(item)]
    return ([value], None) if is_reference(value) else ([], value)


def _lost(held: JsonObject, incoming: JsonObject) -> JsonObject:
    """Return those values of `incoming` that a merge below `held` would lose."""
    lost: JsonObject = {}
    for key, value in incoming.items():
        kept = held.get(key)
        if isinstance(kept, dict) and isinstance(value, dict):
            inner = _lost(kept, value)
            if inner:
                lost[key] = inner
        elif kept != value and not metadata.is_empty(kept) and not metadata.is_empty(value):
            lost[key] = value
    return lost
