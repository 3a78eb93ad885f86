"""A file's bytes say whether it is whole, cut off, or no model; hostile ones say so cheaply."""

import json
import resource
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelkeep.domain.formats import Completeness, judge
from modelkeep.domain.safetensors import PIECE_BYTES, tensors_extent
from modelkeep.domain.safetensors_metadata import HEADER_BYTES_MAX

LFS_POINTER = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""


def with_header(header: bytes, payload: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + payload


def safetensors(payload: bytes = b"x" * 24, header_bytes: int = 0) -> bytes:
    half = len(payload) // 2
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "b": {"dtype": "U8", "shape": [len(payload) - half], "data_offsets": [half, len(payload)]},
            "a": {"dtype": "U8", "shape": [half], "data_offsets": [0, half]},
        }
    ).encode()
    return with_header(header.ljust(header_bytes), payload)


class Reader:
    """Reads bytes as a file is read, and notes what was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        return self.content[offset : offset + length]


def extent_of(header: bytes) -> int | None:
    return tensors_extent(len(header), Reader(header))


def judged(content: bytes, name: str = "m.safetensors", size_bytes: int | None = None) -> Completeness:
    return judge(name, len(content) if size_bytes is None else size_bytes, Reader(content))


@pytest.mark.parametrize("name", ["m.safetensors", "M.SAFETENSORS", "m.sft", "caf\udce9.safetensors"])
@pytest.mark.parametrize(
    "content", [safetensors(), safetensors(b""), with_header(b"{}"), safetensors(b"x" * 100_000)]
)
def test_a_file_of_exactly_the_promised_size_is_whole(name: str, content: bytes) -> None:
    assert judged(content, name) is Completeness.WHOLE


@pytest.mark.parametrize("header_bytes", [0, 256, 512], ids="header of {} bytes".format)
def test_a_file_cut_off_at_any_byte_is_known_to_be_cut_off(header_bytes: int) -> None:
    """Its first two bytes alone may be anything."""
    whole = safetensors(header_bytes=header_bytes)
    assert {cut: verdict for cut in range(3, len(whole)) if (verdict := judged(whole[:cut])) != "cut off"} == {}


def test_trailing_bytes_prove_nothing() -> None:
    assert judged(safetensors() + b"\0") is Completeness.UNKNOWN


@given(st.binary(min_size=1, max_size=200))
@example(b"\x02" + 7 * b"\0" + b"{}")
def test_random_bytes_are_judged_without_an_error(content: bytes) -> None:
    verdict = judged(content)
    assert verdict is not Completeness.EMPTY
    if verdict is Completeness.WHOLE:
        length = int.from_bytes(content[:8], "little")
        assert isinstance(json.loads(content[8 : 8 + length]), dict)


@given(st.binary(max_size=300))
def test_a_header_of_random_bytes_is_judged_without_an_error(header: bytes) -> None:
    assert judged(with_header(header, b"x" * 8)) in set(Completeness) - {Completeness.EMPTY, Completeness.POINTER}


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{" + b'"a":1,' * 10 + b"}",
        b"[1, 2]",
        b'"text"',
        b"{\xff\xfe}",
        b'{"a": {"data_offsets": [0, -8]}}',
        b'{"a": {"data_offsets": [0]}}',
        b'{"a": {"data_offsets": "08"}}',
        b'{"a": {"data_offsets": [0, 8.0]}}',
        b'{"a": {"data_offsets": [0, ' + b"9" * 5000 + b"]}}",
        b'{"a": [0, 8]}',
        b'{"a": null}',
    ],
    ids=range(13),
)
def test_a_header_that_is_none_proves_nothing(header: bytes) -> None:
    assert extent_of(header) is None
    assert judged(with_header(header, b"x" * 8)) is Completeness.UNKNOWN


def test_a_tensor_beyond_all_disks_is_cut_off() -> None:
    assert judged(with_header(b'{"a": {"data_offsets": [0, 99999999999999999999999]}}')) is Completeness.CUT_OFF


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES_MAX + 1, 2**60, 2**64 - 1])
def test_an_impossible_header_length_proves_nothing_and_nothing_is_read_for_it(length: int) -> None:
    reader = Reader(length.to_bytes(8, "little") + b"{" + b" " * 5000)
    assert judge("m.safetensors", 2**61, reader) is Completeness.UNKNOWN
    assert sum(asked for _, asked in reader.asked) < 100


def entries(count: int, metadata: object = None) -> bytes:
    tensors: dict[str, object] = {
        f'blk.{number}\\"é': {"dtype": "U8", "shape": [1], "data_offsets": [number, number + 1], "more": -1.5e3}
        for number in range(count)
    }
    return json.dumps(tensors | ({"__metadata__": metadata} if metadata is not None else {}), indent=1).encode()


@pytest.mark.parametrize("count", [0, 1, 5_000])
@pytest.mark.parametrize("metadata", [None, {}, {"a": "b" * 3 * PIECE_BYTES, "c": '{"data_offsets": [0, 99]}'}])
def test_a_header_of_many_pieces_says_the_same_as_the_whole_of_it(count: int, metadata: object) -> None:
    header = entries(count, metadata)
    assert extent_of(header) == count
    assert extent_of(b" \n" + header + b"  ") == count
    assert extent_of(header[:-1]) is None
    assert extent_of(header + b"x") is None


@given(st.integers(0, 40), st.integers(1, 60))
def test_where_the_pieces_end_changes_nothing(count: int, piece: int) -> None:
    header = entries(count)
    assert tensors_extent(len(header), lambda offset, length: header[offset : offset + min(length, piece)]) == count


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


HOSTILE = {
    "lists": (b'{"a":[', b"[],"),
    "lists in a tensor": (b'{"a":{"b":[', b"[],"),
    "numbers": (b'{"a":{"b":[', b"1,"),
    "texts": (b'{"a":{"b":[', b'"\\n",'),
    "one text": (b'{"a":{"b":"', b"\\n"),
    "objects": (b"", b'{"a":'),
    "spaces": (b"{", b" "),
    "members": (b'{"a":{', b'"a":0,'),
    "tensors": (b"{", b'"a":{"data_offsets":[0,8]},'),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_header_as_large_as_they_come_takes_little_memory(kind: str) -> None:
    beginning, repeated = HOSTILE[kind]
    read_bytes = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal read_bytes
        read_bytes += length
        phase = (offset - len(beginning)) % len(repeated) if offset else 0
        endless = repeated * (length // len(repeated) + 2)
        return (endless[phase:] if offset else beginning + endless)[:length]

    before_bytes = peak_bytes()
    assert tensors_extent(HEADER_BYTES_MAX, read_at) is None
    assert read_bytes < 0.2 * HEADER_BYTES_MAX
    assert peak_bytes() - before_bytes < 0.5 * HEADER_BYTES_MAX


def test_a_header_longer_than_the_file_is_not_read() -> None:
    reader = Reader((50_000_000).to_bytes(8, "little") + b"{" + b" " * 5000)
    assert judge("m.safetensors", len(reader.content), reader) is Completeness.CUT_OFF
    assert sum(asked for _, asked in reader.asked) < 100


def test_the_tensors_are_never_read() -> None:
    reader = Reader(safetensors(b"x" * 1_000_000))
    judge("m.safetensors", len(reader.content), reader)
    assert len(reader.asked) <= 3
    assert max(offset + length for offset, length in reader.asked) < 1000


@pytest.mark.parametrize("name", ["m.safetensors", "m.ckpt", "m.gguf"])
def test_an_empty_file_is_empty_and_not_read(name: str) -> None:
    reader = Reader(b"")
    assert judge(name, 0, reader) is Completeness.EMPTY
    assert reader.asked == []


@pytest.mark.parametrize("name", ["m.safetensors", "m.ckpt", "m.gguf"])
def test_a_git_lfs_pointer_is_no_model(name: str) -> None:
    assert judged(LFS_POINTER, name) is Completeness.POINTER


def test_a_large_file_that_begins_like_a_pointer_is_none() -> None:
    assert judged(LFS_POINTER.ljust(5000, b"\n"), "m.ckpt") is Completeness.UNKNOWN


@pytest.mark.parametrize("make", [lambda: b"PK\3\4" + b"x" * 50, safetensors], ids=["zip", "safetensors"])
def test_other_formats_prove_nothing(make: Callable[[], bytes]) -> None:
    assert judged(make(), "m.ckpt") is Completeness.UNKNOWN


def test_a_file_that_shrank_after_its_size_was_taken_is_not_whole() -> None:
    whole = safetensors()
    for cut in range(1, len(whole) - 24):
        assert judged(whole[:cut], size_bytes=len(whole)) is not Completeness.WHOLE
