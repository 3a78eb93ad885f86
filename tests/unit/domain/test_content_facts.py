"""What the header of a model file says is taken within bounds, whoever wrote it and whatever they put there."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from modelkeep.domain.content_facts import FileHeader, autov1, read_header
from modelkeep.domain.formats import Completeness, judge
from modelkeep.domain.header_keys import ALL_CHARACTERS_MAX, KEYS_MAX, LIST_ITEMS_MAX, TEXT_CHARACTERS_MAX
from modelkeep.domain.safetensors_metadata import HEADER_READ_MAX, METADATA_BYTES_MAX

WEIGHTS: dict[str, numpy.ndarray[Any, Any]] = {
    "a.weight": numpy.arange(64, dtype=numpy.float32),
    "b.weight": numpy.ones((2, 3), dtype=numpy.float16),
}


def header_of(content: bytes, size_bytes: int | None = None) -> FileHeader:
    return read_header(
        len(content) if size_bytes is None else size_bytes, lambda offset, length: content[offset : offset + length]
    )


def with_header(header: bytes, data: bytes = b"data") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def with_metadata(metadata: bytes) -> bytes:
    return with_header(b'{"__metadata__":' + metadata + b',"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}')


def test_the_metadata_of_a_file_that_the_formats_own_library_wrote_are_read() -> None:
    said = {"modelspec.title": "A \U0001f600", "ss_tag_frequency": json.dumps({"a": {"b c": 3}}), "empty": ""}
    content = save(WEIGHTS, metadata=said)
    header = header_of(content)
    assert (header.format, header.keys, header.problem) == ("safetensors", said, "")
    assert content[header.data_begin :] == content[8 + int.from_bytes(content[:8], "little") :]


def test_a_file_without_metadata_says_nothing_and_has_tensors() -> None:
    header = header_of(save(WEIGHTS))
    assert (header.format, header.keys, header.problem) == ("safetensors", {}, "")
    assert header.data_begin


def test_metadata_behind_thousands_of_tensors_are_found() -> None:
    tensors = b",".join(b'"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % number for number in range(5_000))
    assert header_of(with_header(b"{" + tensors + b',"__metadata__":{"k":"v"}}')).keys == {"k": "v"}


def test_a_text_that_looks_like_metadata_is_a_text() -> None:
    text = json.dumps({"k": '"__metadata__":{"false":"1"}'})
    tensors = b'{"x\\"__metadata__":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"__metadata__":'
    assert header_of(with_header(tensors + text.encode() + b"}")).keys == json.loads(text)


def test_a_picture_is_kept_as_a_mark_only() -> None:
    header = header_of(with_metadata(json.dumps({"modelspec.thumbnail": "data:image/png;base64,AAAA"}).encode()))
    assert header.has_image
    assert header.keys == {"modelspec.thumbnail": {"summary": "picture", "length": 26}}
    covers = header_of(with_metadata(json.dumps({"ssmd_cover_images": json.dumps(["AAAA"])}).encode()))
    assert covers.has_image
    assert not header_of(with_metadata(b'{"modelspec.thumbnail":"None","ssmd_cover_images":"[]"}')).has_image


@pytest.mark.parametrize(
    ("metadata", "kept", "is_whole"),
    [
        (b'{"a":"1","a":"2"}', {"a": "2"}, False),
        (b'{"a":NaN,"b":-Infinity,"c":1e999,"d":1.5}', {"a": "NaN", "b": "-Infinity", "c": "inf", "d": 1.5}, True),
        (b'{"a":' + b"9" * 5_000 + b',"b":true,"c":null}', {"a": "9" * 5_000, "b": True, "c": None}, True),
        (b'{"a":"\xff\xfe","b":"\\ud800"}', {"a": "��", "b": "�"}, True),
        (b'{"a":"1","b":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {"a": "1"}, False),
        (b'{"a":{"b":[1,{"c":"\xc3\xa4"}]}}', {"a": {"b": [1, {"c": "ä"}]}}, True),
        (b'{"a":"1","b":"2', {"a": "1", "b": "2,"}, False),
        (b'{"a":"1","b" "2"}', {"a": "1"}, False),
        (b'{"a":"line\nline"}', {"a": "line\nline"}, True),
        (b'{"a":"\\x"}', {}, False),
        (b"{ }", {}, True),
        (b"{", {}, False),
        (b"[1]", {}, True),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_hostile_metadata_are_taken_as_far_as_they_go(metadata: bytes, kept: dict[str, Any], is_whole: bool) -> None:
    header = header_of(with_metadata(metadata))
    assert header.keys == kept
    assert bool(header.problem) is not is_whole
    json.dumps(header.keys, allow_nan=False).encode()


@pytest.mark.parametrize("length", [0, 1, 1 << 40, (1 << 64) - 1])
def test_a_length_that_lies_is_no_header(length: int) -> None:
    assert header_of(length.to_bytes(8, "little") + b'{"__metadata__":{"a":"b"}}') == FileHeader()


def test_what_is_too_large_is_summarised_or_left_out() -> None:
    long = {"text": "x" * (TEXT_CHARACTERS_MAX + 1), "list": list(range(LIST_ITEMS_MAX + 1)), "deep": _nested(40)}
    keys = header_of(with_metadata(json.dumps(long).encode())).keys
    assert keys["text"]["length"] == TEXT_CHARACTERS_MAX + 1
    assert keys["list"] == {"summary": "list", "length": LIST_ITEMS_MAX + 1}
    assert "summary" in json.dumps(keys["deep"])
    many = header_of(with_metadata(json.dumps({str(number): "" for number in range(KEYS_MAX + 5)}).encode()))
    assert len(many.keys) == KEYS_MAX
    assert many.problem
    texts = {str(number): "y" * (TEXT_CHARACTERS_MAX - 1) for number in range(8)}
    assert len(json.dumps(header_of(with_metadata(json.dumps(texts).encode())).keys)) < 2 * ALL_CHARACTERS_MAX


def _nested(depth: int) -> object:
    return {"a": _nested(depth - 1)} if depth else 1


def test_no_more_of_a_header_is_read_than_is_bounded() -> None:
    read = 0

    def spaces(offset: int, length: int) -> bytes:
        nonlocal read
        read += length
        return (99_000_000).to_bytes(8, "little")[offset:] + b"{" if offset == 0 else b" " * length

    assert read_header(100_000_000, spaces).problem
    assert read <= HEADER_READ_MAX + (1 << 16)
    assert header_of(with_metadata(b'{"a":"' + b"x" * METADATA_BYTES_MAX + b'"}')).problem


@pytest.mark.parametrize("byte_order", gguf.GGUFEndian)
def test_the_keys_of_a_file_that_ggufs_own_library_wrote_are_read(
    tmp_path: Path, byte_order: gguf.GGUFEndian
) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama", endianess=byte_order)
    writer.add_name("Name")
    writer.add_tags(["x", "y"])
    writer.add_token_list([f"token {number}" for number in range(1_000)])
    writer.add_float32("a.float", 0.5)
    writer.add_bool("a.bool", True)
    writer.add_string("a.long", "z" * 100_000)
    writer.add_tensor("w", numpy.ones((4, 32), dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = header_of(path.read_bytes())
    assert header.keys == {
        "general.architecture": "llama",
        "general.name": "Name",
        "general.tags": ["x", "y"],
        "tokenizer.ggml.tokens": {"summary": "list", "length": 1_000},
        "a.float": 0.5,
        "a.bool": True,
        "a.long": {"summary": "text", "length": 100_000},
    }
    assert header.data_begin == gguf.GGUFReader(path).data_offset
    assert not header.problem
    content = path.read_bytes()
    assert judge("m.gguf", len(content), lambda at, length: content[at : at + length]) is Completeness.WHOLE


def test_a_gguf_header_that_lies_is_taken_as_far_as_it_goes() -> None:
    name = struct.pack("<Q", 1) + b"k"
    said = name + struct.pack("<IQ", 8, 1) + b"v"
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60)
    header = header_of(start + said + name + struct.pack("<IQ", 8, 1 << 50))
    assert (header.keys, header.data_begin) == ({"k": "v"}, 0)
    assert header.problem
    assert header_of(start + name + struct.pack("<IIQ", 9, 9, 1)).problem
    assert header_of(b"GGUF" + struct.pack(">IQQ", 2, 0, 0)).problem  # of which there are no big-endian ones


@given(st.binary(max_size=200))
def test_any_bytes_have_a_header_that_can_be_kept(content: bytes) -> None:
    for start in (b"", b"GGUF" + struct.pack("<IQQ", 3, 1, 2)):
        json.dumps(header_of(start + content).keys, allow_nan=False).encode()
    json.dumps(header_of(with_metadata(b'{"k":' + content)).keys, allow_nan=False).encode()


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=5))
def test_what_the_formats_own_library_writes_comes_back(said: dict[str, str]) -> None:
    header = header_of(save(WEIGHTS, metadata=said or None))
    assert header.keys == said
    assert not header.problem


def test_autov1_is_of_the_bytes_that_are_there() -> None:
    assert autov1(5, lambda *_: b"", lambda data: hashlib.sha256(data).hexdigest()) == "e3b0c442"
