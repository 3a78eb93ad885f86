"""GGUF and zip archives say whether they are whole; a cut one never does, and hostile ones say so cheaply."""

import io
import struct
import zipfile
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.libraries import checkpoint, gguf, noise

from modelkeep.domain.formats import Completeness, judge
from modelkeep.domain.header import PIECE_BYTES, READ_BYTES_MAX

Key = tuple[str, bytes]


class Reader:
    """Reads bytes as a file is read, and counts what was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.bytes_read = 0
        self.longest = 0

    def __call__(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        self.longest = max(self.longest, length)
        return self.content[offset : offset + length]


def judged(content: bytes, name: str = "m.gguf", size_bytes: int | None = None) -> Completeness:
    return judge(name, len(content) if size_bytes is None else size_bytes, Reader(content))


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def array(kind: int, count: int, values: bytes) -> bytes:
    return struct.pack("<IIQ", 9, kind, count) + values


def tensor(name: str, dimensions: tuple[int, ...], kind: int, offset: int) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def gguf_of(keys: list[Key], tensors: list[bytes], data: bytes, *, alignment: int = 32, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    head += b"".join(text(name) + value for name, value in keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data


VOCABULARY = b"".join(text(f"token {number}") for number in range(5000))
RICH = gguf_of(
    [
        ("general.architecture", struct.pack("<I", 8) + text("llama")),
        ("general.alignment", struct.pack("<II", 4, 64)),
        ("tokenizer.ggml.tokens", array(8, 5000, VOCABULARY)),
        ("tokenizer.ggml.scores", array(6, 5000, bytes(20_000))),
        ("rope.freq_base", struct.pack("<If", 6, 1e4)),
        ("add_bos", struct.pack("<I?", 7, True)),
    ],
    [tensor("a", (256, 2), 12, 0), tensor("b", (5,), 0, 320)],  # Q4_K: 288 bytes; F32: 20
    noise("rich", 384),
    alignment=64,
)


@pytest.mark.parametrize("content", [gguf("x"), gguf("y", 100_000 // 32 * 32), RICH, gguf_of([], [], b"")])
def test_a_gguf_file_of_exactly_the_promised_size_is_whole(content: bytes) -> None:
    assert judged(content) is Completeness.WHOLE
    assert judged(content, name="odd.bin") is Completeness.WHOLE
    assert judged(content + b"x") is Completeness.UNKNOWN


@given(st.integers(min_value=0, max_value=len(RICH) - 1))
def test_a_gguf_file_that_is_cut_anywhere_is_not_whole(size_bytes: int) -> None:
    assert judged(RICH[:size_bytes]) is not Completeness.WHOLE


def test_a_gguf_file_that_lacks_data_is_cut_off_and_one_that_lacks_its_padding_says_nothing() -> None:
    assert judged(RICH[: len(RICH) - 100]) is Completeness.CUT_OFF
    assert judged(RICH[:200]) is Completeness.CUT_OFF  # within the vocabulary
    assert judged(RICH[:-1]) is Completeness.UNKNOWN  # some programs do not pad the last tensor


@pytest.mark.parametrize(
    "content",
    [
        gguf_of([], [], b"", version=1),
        gguf_of([], [tensor("t", (32,), 9, 0)], bytes(64)),  # a type that no file holds
        gguf_of([], [tensor("t", (31,), 2, 0)], bytes(64)),  # no whole blocks
        gguf_of([], [struct.pack("<Q", 1) + b"t" + struct.pack("<I", 5) + bytes(60)], b""),
        gguf_of([("a", array(9, 1, bytes(16)))], [], b""),
        gguf_of([("a", struct.pack("<I", 99))], [], b""),
        gguf_of([("general.alignment", struct.pack("<II", 4, 0))], [], b""),
        b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0) + bytes(100),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63) + struct.pack("<Q", 2**62) + bytes(100),
    ],
)
def test_a_gguf_header_that_nobody_knows_proves_nothing(content: bytes) -> None:
    assert judged(content) is Completeness.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + array(8, 2**63, b""),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 100_000, 0),
    ],
)
def test_a_hostile_gguf_header_takes_bounded_time_and_memory(content: bytes) -> None:
    class Zeros(Reader):
        def __call__(self, offset: int, length: int) -> bytes:
            super().__call__(offset, length)
            return (self.content[offset : offset + length]).ljust(length, b"\0")

    with mock.patch("modelkeep.domain.header.STEPS_MAX", 20_000):
        reader = Zeros(content)
        assert judge("m.gguf", 2**50, reader) is Completeness.UNKNOWN
    assert reader.longest <= PIECE_BYTES
    assert reader.bytes_read <= READ_BYTES_MAX + PIECE_BYTES + 100


def archive(
    names: int = 3, *, comment: bytes = b"", compression: int = zipfile.ZIP_STORED, wide: bool = False
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as written:
        for number in range(names):
            with written.open(f"archive/data/{number}", "w", force_zip64=wide) as member:
                member.write(noise(number, 500))
        written.comment = comment
    return out.getvalue()


def with_zip64_end(content: bytes) -> bytes:
    """Return an archive with the wide records of its end, as torch always writes them."""
    end = struct.unpack("<4s4H2IH", content[-22:])
    members, size_bytes, offset = end[4], end[5], end[6]
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, members, members, size_bytes, offset)
    place = struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1)
    narrow = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:-22] + wide + place + narrow


ARCHIVES = (
    checkpoint("x"),
    archive(),
    archive(comment=b"a comment"),
    archive(compression=zipfile.ZIP_DEFLATED, wide=True),
    with_zip64_end(archive()),
    with_zip64_end(checkpoint("y")),
)


@pytest.mark.parametrize("content", ARCHIVES)
@pytest.mark.parametrize("name", ["m.ckpt", "m.pt", "m.pth", "m.bin"])
def test_a_whole_archive_is_whole(content: bytes, name: str) -> None:
    assert judged(content, name) is Completeness.WHOLE


NESTED = archive(2)  # a member that is an archive itself ends like a whole one
OUTER = io.BytesIO()
with zipfile.ZipFile(OUTER, "w") as _outer:
    _outer.writestr("archive/inner.zip", NESTED)
    _outer.writestr("archive/data/0", noise("outer", 300))


@given(st.sampled_from((*ARCHIVES, OUTER.getvalue())), st.data())
def test_an_archive_that_is_cut_anywhere_is_not_whole(content: bytes, data: st.DataObject) -> None:
    size_bytes = data.draw(st.integers(min_value=0, max_value=len(content) - 1))
    assert judged(content[:size_bytes], "m.ckpt") is not Completeness.WHOLE


def test_an_archive_that_is_cut_behind_an_inner_archive_is_not_whole() -> None:
    content = OUTER.getvalue()
    end_of_inner = content.index(b"PK\5\6") + 22

    assert judged(content[:end_of_inner], "m.ckpt") is Completeness.UNKNOWN


def test_an_archive_without_its_end_is_cut_off() -> None:
    assert judged(archive()[:-1], "m.ckpt") is Completeness.CUT_OFF
    assert judged(archive()[:700], "m.ckpt") is Completeness.CUT_OFF


def changed(content: bytes, at: int, replacement: bytes) -> bytes:
    at %= len(content)
    return content[:at] + replacement + content[at + len(replacement) :]


@pytest.mark.parametrize(
    "content",
    [
        changed(archive(), -12, struct.pack("<H", 7)),  # more members than the directory has
        changed(archive(), -12, struct.pack("<H", 1)),
        changed(archive(), -10, struct.pack("<I", 2**31)),  # a directory of 2 GiB
        changed(archive(), -6, struct.pack("<I", 2**31)),
        changed(with_zip64_end(archive()), -22 - 20 + 8, struct.pack("<Q", 2**63)),
        changed(with_zip64_end(archive()), -22 - 20 - 56 + 32, struct.pack("<Q", 2**63)),  # that many members
        changed(archive(), archive().index(b"PK\1\2") + 20, struct.pack("<I", 2**31)),  # a member of 2 GiB
        changed(archive(), archive().index(b"PK\1\2") + 20, struct.pack("<I", 2**32 - 1)),  # wide, but nowhere said
        changed(archive(), archive().index(b"PK\1\2"), b"XXXX"),
        archive() + b"more",
        b"PK\3\4" + bytes(100) + struct.pack("<4s4H2IH", b"PK\5\6", 1, 1, 0, 0, 0, 104, 0),
    ],
)
def test_an_archive_whose_records_do_not_fit_says_nothing(content: bytes) -> None:
    assert judged(content, "m.pt") is Completeness.UNKNOWN


@given(st.binary(max_size=400), st.sampled_from((b"GGUF", b"PK\3\4", b"GGUF\3\0\0\0")))
def test_whatever_the_bytes_are_judging_ends(content: bytes, magic: bytes) -> None:
    reader = Reader(magic + content)
    judge("m.ckpt", len(magic + content), reader)
    assert reader.bytes_read <= READ_BYTES_MAX + PIECE_BYTES
