"""The two JSON columns become one object, and nothing of either is lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.metadata import is_empty
from modelkeep.importers.hikaze_meta import TEXT_LENGTH_MAX, HikazeMeta, read_meta
from modelkeep.importers.loose_json import DEPTH_MAX


def found_in(extra: object, meta: object = None, images: tuple[str, ...] = ()) -> HikazeMeta:
    return read_meta(extra, meta, lambda text: text if text in images else "")


def test_two_empty_columns_say_nothing() -> None:
    for empty in (None, "", "  ", "null", "{}", b""):
        assert found_in(empty, empty) == HikazeMeta()


def test_meta_json_fills_what_extra_json_leaves_empty() -> None:
    found = found_in('{"description": "", "prompts": {"positive": "a"}}', '{"description": "b", "prompts": {"x": 1}}')
    assert found.value == {"description": "b", "prompts": {"positive": "a", "x": 1}}
    assert found.remarks == []


def test_what_meta_json_says_otherwise_is_kept_beside() -> None:
    found = found_in('{"description": "a", "p": {"x": 1, "y": 2}}', '{"description": "b", "p": {"x": 3, "y": 2}}')
    assert found.value == {
        "description": "a",
        "p": {"x": 1, "y": 2},
        "hikaze_meta_json": {"description": "b", "p": {"x": 3}},
    }
    assert found.remarks == ["meta_json says otherwise than extra_json; its values are kept under hikaze_meta_json"]


def test_a_key_of_the_source_that_bears_our_name_is_not_overwritten() -> None:
    found = found_in('{"a": 1, "hikaze_meta_json": "theirs"}', '{"a": 2}')
    assert found.value == {"a": 1, "hikaze_meta_json": "theirs", "hikaze_meta_json_2": {"a": 2}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{broken", "is not valid JSON"),
        ('["a"]', "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ("5", "is not a JSON object"),
        ("[" * 100_000, "is nested too deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "is nested too deep"),
        ("{" + " " * TEXT_LENGTH_MAX + "}", "is too long to be read"),
        ('{"a": ' + "9" * 5000 + "}", "is not valid JSON"),
    ],
)
def test_a_column_that_holds_no_object_is_kept_as_text(text: str, why: str) -> None:
    assert found_in(text).value == {"hikaze_extra_json_text": text}
    found = found_in('{"a": 1}', text)
    assert found.value == {"a": 1, "hikaze_meta_json_text": text}
    assert found.remarks == [f"meta_json {why}; its text is kept under hikaze_meta_json_text"]


def test_an_object_of_the_greatest_depth_stays_an_object() -> None:
    text = '{"a":' * (DEPTH_MAX - 1) + "{}" + "}" * (DEPTH_MAX - 1)
    assert found_in(text).value == json.loads(text)
    wide = json.dumps({str(number): [] for number in range(1000)})
    assert found_in(wide).value == json.loads(wide)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1" + "0" * 400 + ".0"])
def test_a_number_that_is_none_becomes_null_and_is_told(number: str) -> None:
    found = found_in(f'{{"a": [1, {number}], "b": 2.5}}')
    assert found.value == {"a": [1, None], "b": 2.5}
    assert found.remarks == ["extra_json held NaN, Infinity or broken characters, now null or U+FFFD"]


def test_characters_that_no_encoder_takes_are_replaced_and_told() -> None:
    found = found_in('{"a": "x\\ud800y", "\\udfff": 1, "\\ud900": 2}')
    assert found.value == {"a": "x\ufffdy", "\ufffd": 1, "\ufffd_2": 2}
    assert len(found.remarks) == 1
    assert found_in(b'{"a": "caf\xe9"}').value == {"a": "caf\ufffd"}


def test_characters_that_every_encoder_takes_stay() -> None:
    found = found_in('{"a": "\\ud83d\\ude00 水彩 \\u00e9"}')
    assert (found.value, found.remarks) == ({"a": "\U0001f600 水彩 é"}, [])


def test_image_references_leave_and_their_order_stays() -> None:
    found = found_in(
        '{"images": ["/media/b.png", "/media/a.png"], "cover": "/media/c.png", "images_count": 2}',
        '{"images": ["/media/d.png", "/media/a.png"], "image": "media/e.png"}',
    )
    assert found.references == ["/media/b.png", "/media/a.png", "/media/c.png", "/media/d.png", "media/e.png"]
    assert (found.value, found.remarks) == ({}, [])


def test_what_is_no_reference_stays_under_its_key() -> None:
    extra = {"image": "ubuntu:24.04", "cover": 3, "preview": ["a"], "prompts": {"images": ["/media/a.png"]}}
    assert found_in(json.dumps(extra)).value == extra


def test_what_else_the_derived_keys_held_is_kept_under_another_name() -> None:
    found = found_in('{"images": ["/media/a.png", "https://example.org/b.png", {"c": 1}], "images_count": "many"}')
    assert found.references == ["/media/a.png"]
    assert found.value == {
        "hikaze_images": ["https://example.org/b.png", {"c": 1}],
        "hikaze_images_count": "many",
    }


def test_a_bare_name_among_the_images_is_a_reference_when_that_image_is_there() -> None:
    found = found_in('{"images": ["a.png", "b.png"], "cover": "a.png"}', images=("a.png",))
    assert found.references == ["a.png"]
    assert found.value == {"hikaze_images": ["b.png"], "cover": "a.png"}


texts = st.text(st.sampled_from('ab/水\ud800\udc00{"\\'), max_size=6)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
json_objects = st.dictionaries(st.sampled_from(["a", "b", "images", "cover", "images_count"]), json_values)


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str) and not is_empty(value):
        yield value


@given(json_objects, json_objects)
def test_every_text_of_both_columns_is_found_again(extra: dict[str, Any], meta: dict[str, Any]) -> None:
    found = found_in(json.dumps(extra), json.dumps(meta))
    extra, meta = json.loads(json.dumps([extra, meta]))  # two halves of a character become one in JSON
    kept = "\n".join([*leaves(found.value), *found.references])
    for text in (*leaves(extra), *leaves(meta)):
        assert "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text) in kept


@given(texts | st.binary() | json_values.map(json.dumps), texts | json_values.map(json.dumps))
def test_whatever_the_columns_hold_the_result_can_be_encoded(extra: str | bytes, meta: str) -> None:
    json.dumps(found_in(extra, meta).value, allow_nan=False, ensure_ascii=False).encode()
