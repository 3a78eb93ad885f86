import pickle
import pickletools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.importers.databases.plain_pickle import NotPlain, read_flat

FLAT = st.dictionaries(
    st.text(max_size=20), st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
)


@given(FLAT, st.integers(2, 5))
def test_a_flat_object_is_read_as_it_was_written(value: dict[str, Any], protocol: int) -> None:
    assert read_flat(pickle.dumps(value, protocol)) == value


class Reached(Exception):
    pass


def reach() -> None:
    raise Reached


class _Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return (reach, ())


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(_Calls()),
        pickle.dumps({"mtime": 1.0, "sha256": _Calls()}),
        pickle.dumps({"a": {"b": 1}}),
        pickle.dumps({"a": [1]}),
        pickle.dumps([1]),
        pickle.dumps("text"),
        pickle.dumps({1: "key is no text"}),
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x05}\x94.}",
        b"",
        b"\x80",
        b"u.",
        b"(u.",
        b"}(u",
        b"}(K\x01u.",
        b"\x94.",
        b"\x80\x05" * 50_000 + b"}.",
        None,
        "text",
    ],
)
def test_everything_else_is_refused_and_nothing_is_called(data: object) -> None:
    try:
        value = read_flat(data)
    except NotPlain:
        return
    assert data == b"\x80\x05}\x94.}"
    assert value == {}


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_give_a_flat_object_or_be_refused(data: bytes) -> None:
    try:
        value = read_flat(b"\x80\x05}" + data + b".")
    except NotPlain:
        return
    assert all(isinstance(key, str) for key in value)


def test_all_opcodes_that_look_something_up_are_among_those_refused() -> None:
    from modelkeep.importers.databases import plain_pickle

    allowed = plain_pickle._VALUES | set(plain_pickle._CONSTANTS) | plain_pickle._SILENT
    dangerous = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "REDUCE", "BUILD", "EXT1", "PERSID", "BINPERSID"}
    assert dangerous <= {opcode.name for opcode in pickletools.opcodes}
    assert not allowed & dangerous
