"""What runs in a hashing process, called here directly: a digest is of what the file was before and after."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8

from modelkeep.disk.statx import see
from modelkeep.domain.hashing import Digest
from modelkeep.errors import FileChanged, HashCancelled
from modelkeep.pipeline import hash_worker
from modelkeep.pipeline.hash_worker import BYTES_DONE, CALLED_OFF, CHUNK_BYTES, TAKEN_UP, digest_file


class Shared:
    """The array that the daemon and its workers share; does something to the file once the first chunk is read."""

    def __init__(self, after_first_chunk: Callable[[], object] = lambda: None) -> None:
        self.numbers = [0, 0, 0]
        self._once: list[Callable[[], object]] = [after_first_chunk]

    def __getitem__(self, index: int) -> int:
        return self.numbers[index]

    def __setitem__(self, index: int, value: int) -> None:
        self.numbers[index] = value
        if self._once and index == BYTES_DONE:
            self._once.pop()()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.pt"
    path.write_bytes(os.urandom(1000) * (3 * CHUNK_BYTES // 1000))
    return path


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Callable[[Shared], Shared]:
    def set_it(shared: Shared) -> Shared:
        monkeypatch.setattr(hash_worker, "_shared", shared)
        return shared

    return set_it


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7])
def test_the_digest_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / NOT_UTF8
    content = os.urandom(size)
    path.write_bytes(content)
    expected = Digest(hashlib.sha256(content).hexdigest(), see(str(path)).fingerprint)
    assert digest_file(str(path)) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 4 * CHUNK_BYTES),
        lambda path: os.truncate(path, 2 * CHUNK_BYTES),
        lambda path: os.truncate(path, 0),
        lambda path: os.utime(path, ns=(0, 5)),
    ],
    ids=["grows", "shrinks", "is emptied", "is written in place"],
)
def test_a_file_that_changes_while_it_is_read_has_no_digest(
    model: Path, share: Callable[[Shared], Shared], change: Callable[[Path], object]
) -> None:
    share(Shared(after_first_chunk=lambda: change(model)))
    with pytest.raises(FileChanged, match=r"a\.pt changed while it was read"):
        digest_file(str(model))


def test_a_file_that_is_replaced_while_it_is_read_has_the_digest_and_fingerprint_of_what_was_read(
    model: Path, share: Callable[[Shared], Shared], tmp_path: Path
) -> None:
    expected = Digest(hashlib.sha256(model.read_bytes()).hexdigest(), see(str(model)).fingerprint)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    share(Shared(after_first_chunk=lambda: other.replace(model)))  # it loses its name, so its ctime changes
    digest = digest_file(str(model))
    assert (digest, digest.is_untouched) == (expected, False)
    assert see(str(model)).fingerprint != expected.fingerprint


def test_progress_is_told(model: Path, share: Callable[[Shared], Shared]) -> None:
    shared = share(Shared())
    digest_file(str(model))
    assert (shared[BYTES_DONE], shared[TAKEN_UP]) == (model.stat().st_size, 1)


def test_work_that_is_called_off_ends_after_the_chunk_in_hand(model: Path, share: Callable[[Shared], Shared]) -> None:
    shared = share(Shared())
    shared.numbers[CALLED_OFF] = 1
    with pytest.raises(HashCancelled):
        digest_file(str(model))
    assert shared[BYTES_DONE] == CHUNK_BYTES


def test_a_file_that_is_gone_is_told_by_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_file(str(tmp_path / "nowhere"))


@pytest.mark.timeout(10)
def test_a_pipe_does_not_hold_the_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(OSError, match="not a regular file") as caught:
        digest_file(str(tmp_path / "a.pt"))
    assert caught.value.errno == errno.EINVAL


def test_no_descriptor_is_left_open(model: Path, share: Callable[[Shared], Shared]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    share(Shared(after_first_chunk=lambda: os.truncate(model, 5)))
    with pytest.raises(FileChanged):
        digest_file(str(model))
    share(Shared())
    digest_file(str(model))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
