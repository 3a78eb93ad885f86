"""JSON of names that are no UTF-8 and of numbers that JSON does not know."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.json_text import COMPACT, json_text

ODD_NAME = "caf\udce9 模型"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=_values, encoding=st.sampled_from(["utf-8", "ascii"]), separators=st.sampled_from([None, COMPACT]))
def test_it_is_what_python_writes(value: object, encoding: str, separators: tuple[str, str] | None) -> None:
    expected = json.dumps(value, ensure_ascii=encoding == "ascii", separators=separators)
    assert json_text(value, encoding=encoding, separators=separators) == expected


def test_text_stands_as_it_is_where_the_encoding_has_it() -> None:
    assert json_text({"name": "café 模型"}) == '{"name": "café 模型"}'


@pytest.mark.parametrize(("name", "encoding"), [(ODD_NAME, "utf-8"), ("café 模型", "latin-1"), ("café", "ascii")])
def test_what_an_encoding_has_not_stands_as_escapes_and_comes_back(name: str, encoding: str) -> None:
    text = json_text({"name": name}, encoding=encoding)

    assert text.isascii()
    assert json.loads(text) == {"name": name}


def test_numbers_that_json_does_not_know_are_spelled_wherever_they_are() -> None:
    value = {"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf}, "name": ODD_NAME}

    text = json_text(value, spell=str, separators=COMPACT)

    assert text == r'{"a":["nan",["inf",1.5]],"b":{"c":"-inf"},"name":"caf\udce9 \u6a21\u578b"}'


def test_without_a_spelling_they_come_back_as_they_are() -> None:
    assert json.loads(json_text([math.inf])) == [math.inf]


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError):
        json_text({"a": object()}, spell=str)
