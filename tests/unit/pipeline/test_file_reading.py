"""One file that is read, here without a process around it: a digest is of what the file was before and after."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.fakes import NOT_UTF8

from modelkeep.disk.page_cache import cached_windows
from modelkeep.disk.statx import see
from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.values import JsonObject
from modelkeep.pipeline import file_reading
from modelkeep.pipeline.file_reading import (
    CHECK_BYTES,
    LATER_BYTES,
    PIECE_BYTES,
    WINDOW_BYTES,
    FileBeingRead,
    FileFailure,
)
from modelkeep.pipeline.sha256 import Hashlib, Implementation, StreamsLibrary, implementation


@pytest.fixture(params=["hashlib", "library"])
def sha256(request: pytest.FixtureRequest) -> Implementation:
    """What computes digests: from a buffer, or from the mapped file."""
    if request.param == "hashlib":
        return Hashlib("")
    library = implementation()
    if not isinstance(library, StreamsLibrary):
        pytest.skip(library.reason)
    library.survive_cuts()
    return library


def read(path: Path, sha256: Implementation, meanwhile: Callable[[], object] = lambda: None) -> list[object]:
    """Read a file to its end as a worker does; something happens to it while its second piece waits to be hashed."""
    return read_all(path, sha256, meanwhile)[:4]


def read_all(path: Path, sha256: Implementation, meanwhile: Callable[[], object] = lambda: None) -> list[object]:
    """Do the same, and return what was told of the content too."""
    buffer, pieces = memoryview(bytearray(PIECE_BYTES)), 0
    file = FileBeingRead(1, str(path), sha256, with_tensors=True)
    try:
        while piece := file.next_piece(buffer):
            pieces += 1
            if pieces == 2:
                meanwhile()
            while piece:
                count = file.until_tensors(len(piece))
                if not sha256.update(*((stream, piece[:count]) for stream in file.streams)):
                    file.read_only()
                    break
                file.done(count)
                piece = piece[count:]
        return file.result()
    finally:
        file.close()


def expected(path: Path, *, is_untouched: bool = True) -> list[object]:
    seen = see(str(path)).fingerprint
    values = [seen.device, seen.inode, seen.size_bytes, seen.mtime_ns, seen.ctime_ns, seen.birth_ns]
    return ["digest", hashlib.sha256(path.read_bytes()).hexdigest(), values, is_untouched]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.pt"
    path.write_bytes(os.urandom(1 << 10) * (2 * WINDOW_BYTES >> 10) + b"the end")
    return path


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, WINDOW_BYTES, 2 * WINDOW_BYTES + PIECE_BYTES + 7]
)
def test_the_digest_is_that_of_all_bytes(tmp_path: Path, sha256: Implementation, size: int) -> None:
    path = tmp_path / NOT_UTF8
    path.write_bytes(os.urandom(size))
    assert read(path, sha256) == expected(path)


def test_a_file_system_that_gives_less_than_was_asked_for_is_asked_for_the_rest(
    tmp_path: Path, sha256: Implementation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    header = json.dumps({"__metadata__": {"key": "x" * 9000}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(WINDOW_BYTES - 1))
    whole, pread, preadv = read_all(path, sha256), os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda file, length, offset: pread(file, min(length, 5000), offset))
    monkeypatch.setattr(os, "preadv", lambda file, buffers, offset: preadv(file, [buffers[0][:5000]], offset))
    assert read_all(path, sha256) == whole


def test_a_file_that_its_server_does_not_let_close_in_peace_is_read_like_others(
    model: Path, sha256: Implementation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FUSE asks its server at each close; the descriptor is gone nevertheless."""
    was, close = expected(model), os.close

    def close_without_server(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(os, "close", close_without_server)
    assert read(model, sha256) == was


@pytest.mark.parametrize("is_told", [True, False])
def test_only_a_file_of_which_it_is_told_what_is_in_memory_is_mapped(
    model: Path, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """Of others a slow disk would be waited for while they are hashed: the processor would seem to be the bound."""
    library = implementation()
    if not isinstance(library, StreamsLibrary):
        pytest.skip(library.reason)
    library.survive_cuts()
    monkeypatch.setattr(file_reading, "is_told", lambda _: is_told)
    file, buffer = FileBeingRead(1, str(model), library), memoryview(bytearray(PIECE_BYTES))
    assert (file.next_piece(buffer).obj is not buffer.obj) is is_told
    file.close()


def test_whether_a_file_is_in_memory_is_known_without_its_server(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    os.truncate(model, LATER_BYTES)
    file = FileBeingRead(1, str(model), Hashlib(""))
    with monkeypatch.context() as server_gone:
        server_gone.setattr(os, "fstat", fail)
        is_in_memory = file.is_in_memory
    assert not is_in_memory
    file.close()


@pytest.mark.parametrize("header_bytes", [2, 100, PIECE_BYTES - 8, PIECE_BYTES + 5, WINDOW_BYTES + 1])
@pytest.mark.parametrize("size", [0, 1, 63, PIECE_BYTES, WINDOW_BYTES + 77])
def test_the_tensors_have_a_digest_of_their_own_from_the_same_reading(
    tmp_path: Path, sha256: Implementation, header_bytes: int, size: int
) -> None:
    path, tensors = tmp_path / "m.safetensors", os.urandom(size)
    content = header_bytes.to_bytes(8, "little") + b"{}".ljust(header_bytes) + tensors
    path.write_bytes(content)
    told = read_all(path, sha256)
    assert told[1] == hashlib.sha256(content).hexdigest()
    facts = ContentFacts.from_json(cast("JsonObject", told[4]))
    assert facts.tensors == (hashlib.sha256(tensors).hexdigest() if size else "")
    assert facts.autov1 == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 4 * WINDOW_BYTES),
        lambda path: os.truncate(path, 2 * PIECE_BYTES),
        lambda path: os.truncate(path, 0),
        lambda path: os.utime(path, ns=(0, 5)),
    ],
    ids=["grows", "shrinks", "is emptied", "is written in place"],
)
def test_a_file_that_changes_while_it_is_read_has_no_digest(
    model: Path, sha256: Implementation, change: Callable[[Path], object]
) -> None:
    with pytest.raises(FileFailure) as failure:
        read(model, sha256, lambda: change(model))
    assert failure.value.args == ("changed", "a.pt changed while it was read")


def test_a_file_that_is_replaced_while_it_is_read_has_the_digest_and_fingerprint_of_what_was_read(
    model: Path, sha256: Implementation, tmp_path: Path
) -> None:
    was = expected(model, is_untouched=False)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    assert read(model, sha256, lambda: other.replace(model)) == was  # it loses its name, so its ctime changes


@pytest.mark.parametrize(
    ("change", "kind"), [(os.unlink, "vanished"), (lambda path: os.utime(path, ns=(0, 5)), "changed")]
)
def test_a_large_file_that_is_gone_or_changed_is_not_read_to_its_end(
    model: Path, change: Callable[[Path], object], kind: str
) -> None:
    os.truncate(model, 2**40)
    file, buffer = FileBeingRead(1, str(model), Hashlib("")), memoryview(bytearray(PIECE_BYTES))
    change(model)
    file.done(CHECK_BYTES)
    with pytest.raises(FileFailure) as failure:
        file.next_piece(buffer)
    file.close()
    assert failure.value.args[0] == kind


def test_a_file_that_is_gone_is_told_by_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere", Hashlib(""))


@pytest.mark.timeout(60)
def test_a_pipe_does_not_hold_the_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(OSError, match="not a regular file") as caught:
        read(tmp_path / "a.pt", Hashlib(""))
    assert caught.value.errno == errno.EINVAL


def test_no_descriptor_is_left_open(model: Path, sha256: Implementation) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileFailure):
        read(model, sha256, lambda: os.truncate(model, 5))
    read(model, sha256)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_only_what_was_not_in_memory_before_is_given_back(tmp_path: Path, sha256: Implementation) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(os.urandom(4 * WINDOW_BYTES))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if any(cached_windows(file.fileno(), 0, 4 * WINDOW_BYTES, WINDOW_BYTES)):
            pytest.skip("this file system keeps its files in memory")
        os.pread(file.fileno(), WINDOW_BYTES, 2 * WINDOW_BYTES)
        assert read(path, sha256)[0] == "digest"
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert cached_windows(file.fileno(), 0, 4 * WINDOW_BYTES, WINDOW_BYTES) == b"\0\0\1\0"


@pytest.mark.parametrize(("ahead_ns", "waits"), [(0, True), (19_999_999, True), (20_000_000, False), (-1, False)])
def test_what_is_written_after_it_was_read_has_other_times(
    model: Path, monkeypatch: pytest.MonkeyPatch, ahead_ns: int, waits: bool
) -> None:
    """The clock of file times goes on in steps: what changes twice within one has the same times."""
    changed_ns = model.stat().st_ctime_ns
    told = iter([changed_ns - ahead_ns, changed_ns + 1])
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: next(told))
    FileBeingRead(1, str(model), Hashlib("")).close()
    assert list(told) == ([] if waits else [changed_ns + 1])
