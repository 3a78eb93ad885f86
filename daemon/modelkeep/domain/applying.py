"""Put what source records say together into a model: a three-way merge in which the owner's word stays.

`PLACES` says where each field of a meaning goes. *Base* is what the records have said so far, *ours* what the model
says now, *theirs* what the records say now. What still is as the records gave it, or was never said, takes their new
value; what somebody said otherwise stays. Lists get what is new against the base; nothing is removed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelkeep.domain.description import TEXTS
from modelkeep.domain.knowledge import LIST_FIELDS, SINGLE_FIELDS, Meaning, meaning_as_json, meaning_from_json
from modelkeep.domain.metadata import is_empty
from modelkeep.domain.naming import is_name_from_path, suggested_name
from modelkeep.domain.values import TAGS_MAX, JsonObject, Model

NAME, BASE = "name", "base"

PLACES: Mapping[str, str] = {
    "title": NAME,
    "version": "meta.version",
    "description": "meta.description",
    "version_description": "meta.version_description",
    "notes": "meta.notes",
    "base_model": BASE,
    "author": "meta.author",
    "licence": "meta.licence",
    "usage_hint": "meta.usage_hint",
    "negative_prompt": "meta.prompts.negative",
    "weight": "meta.weight",
    "favourite": "meta.favourite",
    "rating": "meta.rating",
    "trigger_words": "meta.trigger_words",
    "origins": "meta.origins",
    "examples": "meta.examples",
}
"""Where each field of a meaning goes in a model; `meta` is its `meta_json`, tags are the model's tags."""

ASKED_ABOUT = tuple(field for field in SINGLE_FIELDS if field not in ("weight", "favourite", "rating", "usage_hint"))
"""Texts of which the owner may have two; hints of use are settings of tools, each of which has its own."""

_FORMATTED = ("description", "version_description")
_POSITIVE = ("prompts", "positive")


@dataclass(frozen=True, slots=True)
class Applied:
    """A model with what records say of it, the names of tags that it gets, and what records have said so far."""

    model: Model
    new_tags: tuple[str, ...]
    base: Meaning


def apply(model: Model, paths: Sequence[str], base: Meaning, theirs: Meaning) -> Applied:
    """Return a model with what its records say.

    Args:
        model: as it is.
        paths: where its files are or were: a name that only repeats one of them was given by nobody.
        base: what the records said together when this was done last.
        theirs: what they say now.
    """
    before, now = meaning_as_json(base), meaning_as_json(theirs)
    said = _said_so_far(before, now)
    meta = dict(model.meta)
    for field, place in PLACES.items():
        if place.startswith("meta."):
            _put_meta(meta, field, tuple(place.split(".")[1:]), before, said)
    _put_prompt(meta, model.meta, before)
    carried = {tag.name for tag in model.tags}
    new_tags = tuple(tag for tag in theirs.tags if tag not in base.tags and tag not in carried)
    return Applied(
        model.evolve(name=_name(model, paths, base, theirs), base=_base(model, base, theirs), meta=meta),
        new_tags[: max(0, TAGS_MAX - len(carried))],
        meaning_from_json(said),
    )


def take_back(model: Model, base: Meaning, said: Meaning, left: Meaning) -> Applied:
    """Return a model without what a record gave that turned out to be about another; what somebody changed stays.

    Args:
        model: as it is.
        base: what its records have said so far, that one among them.
        said: what that record says.
        left: what the other records say together.
    """
    lost, others, given = meaning_as_json(said), meaning_as_json(left), meaning_as_json(base)
    after = model
    for field, value in lost.items():
        if field in LIST_FIELDS:
            gone = [item for item in value if item in given.get(field, []) and item not in others.get(field, [])]
            given[field] = [item for item in given.get(field, []) if item not in gone]
            after = _without_items(after, field, gone)
        elif given.get(field) == value:
            del given[field]
            if _same(_held(after, field), _text_of(value)):
                after = _emptied(after, field)
    return Applied(after, (), meaning_from_json(given))


def _without_items(model: Model, field: str, gone: Sequence[Any]) -> Model:
    """Return a model without some items of a list, and without the prompt that was made of them."""
    if field == "tags":
        return model.evolve(tags=tuple(tag for tag in model.tags if tag.name not in gone))
    place = (field,)
    held = _at(model.meta, place)
    if not isinstance(held, list):
        return model
    meta: JsonObject = json.loads(json.dumps(model.meta))
    left = [item for item in held if item not in gone]
    if field == "trigger_words" and _same(_at(meta, _POSITIVE), _joined(held)):
        _put_or_remove(meta, _POSITIVE, _joined(left))
    _put_or_remove(meta, place, left)
    return model.evolve(meta=meta)


def _emptied(model: Model, field: str) -> Model:
    place = PLACES[field].split(".")
    if place[0] == NAME:
        return model.evolve(name=suggested_name(model.path))
    if place[0] == BASE:
        return model.evolve(base="")
    meta: JsonObject = json.loads(json.dumps(model.meta))
    _put_or_remove(meta, tuple(place[1:]), None)
    if field in _FORMATTED:
        meta.pop(f"{field}_format", None)
    return model.evolve(meta=meta)


def says(model: Model, field: str, value: Any) -> bool:
    """Return whether a model holds just these words, as JSON, for a field of a meaning."""
    return _same(_held(model, field), _text_of(value))


def said_otherwise(model: Model, paths: Sequence[str], field: str, value: Any) -> bool:
    """Return whether a model that has all that its records say holds other words than these for a field.

    Args:
        model: as it is then.
        paths: where its files are or were: a name that only repeats one of them is nobody's word.
        field: of a meaning.
        value: the owner's words for it in a record, as JSON.
    """
    held, words = _held(model, field), _text_of(value)
    if is_empty(held) or is_empty(words) or _same(held, words):
        return False
    return not (PLACES[field] == NAME and is_name_from_path(model.name, paths))


def is_as_given(model: Model, base: Meaning, key: str) -> bool:
    """Return whether a model says what its records gave it, and nobody anything else.

    Args:
        model: as it is.
        base: what its records have said so far.
        key: `name`, `base`, `type`, or a dotted key of `meta_json`.
    """
    given = meaning_as_json(base)
    if key == ".".join(_POSITIVE):
        return _same(_at(model.meta, _POSITIVE), _joined(given.get("trigger_words")))
    for field, place in PLACES.items():
        name = place.removeprefix("meta.")
        if key == f"{field}_format" and field in _FORMATTED:
            return is_as_given(model, base, field)
        if key == name or key.startswith(f"{name}."):
            return not is_empty(given.get(field)) and _same(_held(model, field), _text_of(given[field]))
    return False


def overlaid(model: Model, other: Model, keys: Sequence[str]) -> Model:
    """Return a model with what another says under some keys, see `is_as_given`; lists of records unite."""
    texts = {key: getattr(other, key) for key in keys if key in TEXTS}
    meta: JsonObject = json.loads(json.dumps(model.meta))
    for key in keys:
        if key in TEXTS:
            continue
        place = tuple(key.split("."))
        ours, theirs = _at(meta, place), _at(other.meta, place)
        if isinstance(ours, list) and isinstance(theirs, list):
            theirs = _joined_lists(theirs, ours)
        _put(meta, place, theirs)
    return model.evolve(meta=meta, **texts)


def without(model: Model, keys: Sequence[str]) -> Model:
    """Return a model that says nothing under some keys, see `is_as_given`."""
    meta: JsonObject = json.loads(json.dumps(model.meta))
    for key in keys:
        if key not in TEXTS:
            _put(meta, tuple(key.split(".")), None)
    return model.evolve(meta=meta, **{key: "" for key in keys if key in TEXTS})


def united(one: Meaning, other: Meaning) -> Meaning:
    """Return what the records of two models have said so far: the first one's words, and the lists of both."""
    first, second = meaning_as_json(one), meaning_as_json(other)
    lists = {
        name: _joined_lists(first.get(name, []), second.get(name, []))
        for name in LIST_FIELDS
        if name in first or name in second
    }
    return meaning_from_json(second | first | lists)


def as_row(field: str, value: Any) -> JsonObject:
    """Return what a row of the queue says that holds nothing but one field of a meaning: its texts and its `meta`."""
    place = PLACES[field].split(".")
    if place[0] != "meta":
        return {place[0]: str(_text_of(value))}
    meta: JsonObject = {}
    _put(meta, tuple(place[1:]), _text_of(value))
    if field in _FORMATTED:
        meta[f"{field}_format"] = value["format"]
    return {"meta": meta}


def _said_so_far(before: JsonObject, now: JsonObject) -> JsonObject:
    """Return what was said last of each field, and of lists all that was ever said."""
    said = before | {field: value for field, value in now.items() if not is_empty(value)}
    for field in LIST_FIELDS:
        fresh = now.get(field, [])
        if fresh or field in before:
            said[field] = _joined_lists(fresh, before.get(field, []))
    return said


def _joined_lists(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return one list, and after it what only the other has."""
    return [*first, *(item for item in second if item not in first)]


def _name(model: Model, paths: Sequence[str], base: Meaning, theirs: Meaning) -> str:
    is_free = not model.name or model.name == base.title or is_name_from_path(model.name, paths)
    says_more = theirs.title.strip() and not is_name_from_path(theirs.title, paths)
    return theirs.title if (says_more or not model.name) and is_free else model.name


def _base(model: Model, base: Meaning, theirs: Meaning) -> str:
    is_free = model.base == base.base_model if base.base_model else not model.base
    return theirs.base_model if theirs.base_model.strip() and is_free else model.base


def _put_meta(meta: JsonObject, field: str, place: tuple[str, ...], before: JsonObject, said: JsonObject) -> None:
    theirs = said.get(field)
    if is_empty(theirs):
        return
    ours, base = _at(meta, place), before.get(field)
    if field in LIST_FIELDS:
        _put_list(meta, place, ours, base or [], said[field])
    elif _may_take(ours, _text_of(base)):
        _put(meta, place, _text_of(theirs))
        if field in _FORMATTED:
            _put(meta, (f"{field}_format",), said[field]["format"])


def _may_take(ours: Any, base: Any) -> bool:
    """Return whether a field is as the records gave it; one that they gave and the owner emptied stays empty."""
    return _same(ours, base) if not is_empty(base) else is_empty(ours)


def _put_list(
    meta: JsonObject, place: tuple[str, ...], ours: Any, base: Sequence[Any], theirs: Sequence[Any]
) -> None:
    if not is_empty(ours) and not isinstance(ours, list):
        return  # somebody keeps something of his own there
    held = list(ours or [])
    if held == base:
        _put(meta, place, list(theirs))
    elif new := [item for item in theirs if item not in base and item not in held]:
        _put(meta, place, [*held, *new])


def _put_prompt(meta: JsonObject, earlier: JsonObject, before: JsonObject) -> None:
    """Have the prompt that goes with a model be its trigger words while nobody wrote another."""
    joined, was = _joined(meta.get("trigger_words")), _joined(earlier.get("trigger_words"))
    if joined and _may_take(_at(meta, _POSITIVE), was if before.get("trigger_words") else ""):
        _put(meta, _POSITIVE, joined)


def _joined(words: Any) -> str:
    return ", ".join(map(str, words)) if isinstance(words, list) else ""


def _held(model: Model, field: str) -> Any:
    place = PLACES[field].split(".")
    return getattr(model, place[0]) if place[0] != "meta" else _at(model.meta, tuple(place[1:]))


def _at(meta: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    held: Any = meta
    for key in place:
        held = held.get(key) if isinstance(held, Mapping) else None
    return held


def _put(meta: JsonObject, place: tuple[str, ...], value: Any) -> None:
    *outer, last = place
    for key in outer:
        inner = meta.get(key)
        meta[key] = dict(inner) if isinstance(inner, Mapping) else {}
        meta = meta[key]
    meta[last] = value


def _put_or_remove(meta: JsonObject, place: tuple[str, ...], value: Any) -> None:
    """Put a value that says something; of one that does not, nothing is left but what stands beside it."""
    if not is_empty(value):
        _put(meta, place, value)
        return
    inner = meta.get(place[0])
    if len(place) > 1 and isinstance(inner, dict):
        _put_or_remove(inner, place[1:], value)
    if len(place) == 1 or inner == {}:
        meta.pop(place[0], None)


def _text_of(value: Any) -> Any:
    """Return the words of a text that is held with its format; any other value as it is."""
    return value["value"] if isinstance(value, Mapping) and "format" in value else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    return bool(one == other)
