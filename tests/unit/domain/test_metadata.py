"""The laws of `meta_json`: nothing is lost by a merge, and a merge that would lose something is known before."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import metadata
from modelkeep.domain.values import JsonObject

KEYS = st.sampled_from(["description", "prompts", "positive", "x"])
TEXTS = st.sampled_from(["", "a", "b"])
LEAVES = st.one_of(st.none(), TEXTS, st.integers(0, 2), st.booleans(), st.lists(TEXTS, max_size=2))
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and the value of everything in an object that says something."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif not metadata.is_empty(value):
        yield path, value


def holds(value: Any, path: tuple[str, ...], leaf: Any) -> bool:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return bool(value == leaf)


@pytest.mark.parametrize("value", [None, "", [], {}, {"a": None}, {"a": {"b": [], "c": {}}}])
def test_a_value_that_says_nothing_is_empty(value: Any) -> None:
    assert metadata.is_empty(value)


@pytest.mark.parametrize("value", [0, 0.0, False, " ", [""], [None], [{}], {"a": 0}, {"a": {"b": False}}])
def test_a_value_that_says_anything_is_not_empty(value: Any) -> None:
    assert not metadata.is_empty(value)


@given(OBJECTS, OBJECTS)
def test_a_merge_keeps_every_value_that_was_there(existing: JsonObject, incoming: JsonObject) -> None:
    merged = metadata.merge(existing, incoming)
    assert [path for path, leaf in leaves(existing) if not holds(merged, path, leaf)] == []


@given(OBJECTS, OBJECTS)
def test_a_merge_says_nothing_that_neither_side_said(existing: JsonObject, incoming: JsonObject) -> None:
    merged = metadata.merge(existing, incoming)
    assert [
        path for path, leaf in leaves(merged) if not (holds(existing, path, leaf) or holds(incoming, path, leaf))
    ] == []


@given(OBJECTS, OBJECTS)
def test_a_merge_done_twice_is_a_merge_done_once(existing: JsonObject, incoming: JsonObject) -> None:
    merged = metadata.merge(existing, incoming)
    assert metadata.merge(merged, incoming) == merged


@given(OBJECTS)
def test_a_merge_with_nothing_changes_nothing(value: JsonObject) -> None:
    assert metadata.merge(value, {}) == value
    assert metadata.merge({}, value) == value


@given(OBJECTS, OBJECTS)
def test_no_differences_means_that_a_merge_takes_in_every_value(existing: JsonObject, incoming: JsonObject) -> None:
    merged = metadata.merge(existing, incoming)
    is_all_in = all(holds(merged, path, leaf) for path, leaf in leaves(incoming))
    assert (not list(metadata.differences(existing, incoming))) == is_all_in


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(value: JsonObject) -> None:
    assert list(metadata.differences(value, value)) == []


def test_differences_name_the_dotted_keys_that_would_be_lost() -> None:
    existing = {"description": "mine", "prompts": {"positive": "cat", "negative": ""}, "links": "x", "same": [1]}
    incoming = {
        "description": "theirs",
        "prompts": {"positive": "dog", "negative": "blurry"},
        "links": {"a": 1},
        "same": [1],
    }
    assert list(metadata.differences(existing, incoming)) == ["description", "prompts.positive", "links"]


@given(OBJECTS, OBJECTS)
def test_an_override_takes_every_value_of_the_other_side(existing: JsonObject, incoming: JsonObject) -> None:
    result = metadata.override(existing, incoming)
    assert [path for path, leaf in leaves(incoming) if not holds(result, path, leaf)] == []


@given(OBJECTS, OBJECTS)
def test_an_override_keeps_what_the_other_side_does_not_speak_of(existing: JsonObject, incoming: JsonObject) -> None:
    result = metadata.override(existing, incoming)
    spoken = [path for path, _ in leaves(incoming)]

    def is_spoken_of(path: tuple[str, ...]) -> bool:
        return any(path[: len(other)] == other or other[: len(path)] == path for other in spoken)

    kept = [(path, leaf) for path, leaf in leaves(existing) if not is_spoken_of(path)]
    assert [path for path, leaf in kept if not holds(result, path, leaf)] == []


@given(OBJECTS, OBJECTS)
def test_neither_side_is_changed_in_place(existing: JsonObject, incoming: JsonObject) -> None:
    before = deepcopy((existing, incoming))
    metadata.merge(existing, incoming)
    metadata.override(existing, incoming)
    list(metadata.differences(existing, incoming))
    assert (existing, incoming) == before


def test_objects_as_deep_as_an_import_lets_through_can_be_merged() -> None:
    deep: JsonObject = {"end": "mine"}
    other: JsonObject = {"end": "theirs", "more": 1}
    for _ in range(100):
        deep, other = {"in": deep}, {"in": other}
    assert [key.count(".") for key in metadata.differences(deep, other)] == [100]
    assert sorted(leaf for _, leaf in leaves(metadata.merge(deep, other)) if isinstance(leaf, str)) == ["mine"]
