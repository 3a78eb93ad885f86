"""The format of a line: what is written comes back, and nothing else is taken for it."""

import json
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelkeep.journal.records import (
    RESERVED,
    Damaged,
    decode,
    encode,
    read_head,
    record_of,
    timestamp,
    timestamp_ns,
)

TS = "2026-11-20T05:00:00.123456Z"

texts = st.text(st.characters())  # surrogates included
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
field_names = texts.filter(lambda name: name not in RESERVED)
fields_of_records = st.dictionaries(field_names, json_values, max_size=5)


def line_of(seq: int = 12, event: str = "file.moved", **fields: object) -> bytes:
    return encode(record_of(seq, TS, event, fields))


def joined(value: Any) -> Any:
    """Join surrogate pairs: JSON has one spelling for a pair and for the character it stands for."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return {joined(key): joined(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [joined(inner) for inner in value]
    return value


def test_line_is_spelled_byte_for_byte_as_documented() -> None:
    body = (
        b'{"seq":12,"ts":"2026-11-20T05:00:00.123456Z","event":"file.moved","migration":"m1",'
        b'"path":"/m/\xe6\xb0\xb4 \\"x\\".pt","old_path":"/m/a\\\\b.pt","bytes":5,'
    )
    line = line_of(path='/m/水 "x".pt', old_path="/m/a\\b.pt", bytes=5, migration="m1")
    assert line == body + b'"crc":"%08x"}\n' % crc32(body)


def test_line_of_a_name_that_is_no_utf8_is_ascii_and_gives_the_name_back() -> None:
    path = b"/m/caf\xe9 \xe6\xb0\xb4.pt".decode(errors="surrogateescape")
    line = line_of(path=path)
    assert line.isascii()
    assert decode(line)["path"] == path


@given(seq=st.integers(1, 10**15), fields=fields_of_records)
@example(seq=1, fields={"migration": 'a "quoted" id', "path": "\udcff\n\x00\u2028"})
def test_what_is_encoded_is_decoded(seq: int, fields: dict[str, Any]) -> None:
    record = record_of(seq, TS, "file.moved", fields)
    line = encode(record)
    assert line.index(b"\n") == len(line) - 1
    assert decode(line) == joined(record)


@given(fields=fields_of_records, data=st.data())
def test_any_flipped_bit_is_detected(fields: dict[str, Any], data: st.DataObject) -> None:
    line = line_of(**{"n": 1, **{f"f{key}": value for key, value in fields.items()}})
    bit = data.draw(st.integers(0, len(line) * 8 - 1))
    flipped = bytearray(line)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        decode(bytes(flipped))


def test_every_flipped_bit_of_one_line_is_detected() -> None:
    line = line_of(path="/m/水.pt", sha256="0f" * 32)
    for bit in range(len(line) * 8):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            decode(bytes(flipped))


def test_line_cut_anywhere_is_no_record() -> None:
    line = line_of(path="/m/a.pt")
    for length in range(len(line)):
        with pytest.raises(Damaged, match="cut off"):
            decode(line[:length])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"ts":"t","event":"a.b",', "sequence number"),
        (b'{"seq":true,"ts":"t","event":"a.b",', "sequence number"),
        (b'{"seq":0,"ts":"t","event":"a.b",', "sequence number"),
        (b'{"seq":"1","ts":"t","event":"a.b",', "sequence number"),
        (b'{"seq":1,"event":"a.b",', "time"),
        (b'{"seq":1,"ts":"t",', "event"),
        (b'{"seq":1,"ts":"t","event":"",', "event"),
        (b"not json,", "no JSON"),
        (b'[{"seq":1,"ts":"t","event":"a.b",', "no JSON"),
        (b'{"seq":1,"ts":"t","event":"a.b","n":' + b"[" * 100_000 + b",", "no JSON"),
        (b'{"seq":1,"ts":"t","event":"\xff",', "no JSON"),
    ],
)
def test_sound_line_that_is_no_record_is_refused(body: bytes, reason: str) -> None:
    line = body + b'"crc":"%08x"}\n' % crc32(body)
    with pytest.raises(Damaged, match=reason):
        decode(line)


@pytest.mark.parametrize("body", [b"not json,", b'{"ts":"t","event":"a.b",', b'{"seq":0,"ts":"t","event":"a.b",'])
def test_sound_line_that_is_no_record_has_no_head(body: bytes) -> None:
    assert read_head(body + b'"crc":"%08x"}\n' % crc32(body)) is None


def test_upper_case_checksum_is_damage() -> None:
    line = next(line for line in map(line_of, range(1, 99)) if line[-11:-3] != line[-11:-3].upper())
    with pytest.raises(Damaged, match="checksum"):
        decode(line[:-11] + line[-11:-3].upper() + line[-3:])


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_field_with_a_name_of_the_journal_is_a_programming_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        record_of(1, TS, "file.moved", {name: 1})


@pytest.mark.parametrize(
    "event", ["moved", "File.moved", "file moved", "file.", ".moved", 'file.mo"ved', "", "file.ünd"]
)
def test_event_that_is_not_noun_and_verb_is_a_programming_error(event: str) -> None:
    with pytest.raises(ValueError, match="spelled noun"):
        line_of(event=event)


def test_value_without_a_json_form_is_a_programming_error() -> None:
    with pytest.raises(TypeError):
        line_of(path=b"/m/a.pt")


def test_numbers_that_json_does_not_know_are_spelled_out() -> None:
    line = line_of(meta={"cfg": [float("nan"), float("inf"), {"low": float("-inf")}], "steps": 20, "eta": 0.5})
    record = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["meta"] == {"cfg": ["NaN", "Infinity", {"low": "-Infinity"}], "steps": 20, "eta": 0.5}


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_nanoseconds_are_spelled_as_the_moment_is(microsecond: int) -> None:
    for second in (59, 0):
        moment = datetime(2026, 12, 31, 23, 59, second, microsecond, tzinfo=UTC)
        now_ns = int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + microsecond * 1000 + 999
        assert timestamp_ns(now_ns) == timestamp(moment)


def test_timestamp_always_has_microseconds() -> None:
    assert timestamp(datetime(2026, 11, 20, 5, tzinfo=UTC)) == "2026-11-20T05:00:00.000000Z"


@pytest.mark.parametrize("migration", ["m1", "水", 'a "b"', "\udcff", ""])
def test_head_tells_what_the_record_tells(migration: str) -> None:
    line = line_of(seq=7, event="migration.planned", plan={"migration": "another"}, migration=migration)
    assert read_head(line) == (7, "migration.planned", migration)


def test_head_does_not_take_a_nested_migration_for_its_own() -> None:
    head = read_head(line_of(plan={"migration": "another"}))
    assert head is not None
    assert head.migration == ""
