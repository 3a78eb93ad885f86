"""What a hashing process does with the files that it is given, over a socket as the daemon uses it."""

import hashlib
import json
import mmap
import os
import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.libraries import safetensors

from modelkeep.disk.page_cache import cached_windows
from modelkeep.pipeline import hash_lanes
from modelkeep.pipeline.file_reading import LATER_BYTES, WINDOW_BYTES
from modelkeep.pipeline.hash_worker import HashWorker
from modelkeep.pipeline.sha256 import implementation

pytestmark = pytest.mark.skipif(implementation().streams == 1, reason="two files are not hashed at once here")


def large(path: Path, seed: bytes) -> Path:
    """Write a whole safetensors file that is large enough to be read again for its tensors; mostly a hole."""
    size = LATER_BYTES
    header = json.dumps({"t": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + seed)
        file.truncate(8 + len(header) + size)
    path.read_bytes()  # it is in memory then, so the processor is what is waited for
    return path


def forget(path: Path) -> None:
    """Have the kernel forget a file: whether its disk is what is waited for is not known then."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if any(cached_windows(file.fileno(), 0, WINDOW_BYTES, WINDOW_BYTES)):
            pytest.skip("this file system keeps its files in memory")


@contextmanager
def kept_in_memory(path: Path) -> Generator[None, None, None]:
    """Have the kernel keep a file in memory, whoever has it forget others: what is mapped stays."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE]
        yield


def read(
    asked: Sequence[tuple[Path, bool]], *, waits_for_processor: bool = False, is_soon: bool = False
) -> list[Any]:
    """Have files read, each of which says whether its tensors must get a digest; returns what is told of each.

    Whether it is the processor that is waited for is as given, and never measured.
    """
    ours, theirs = socket.socketpair()
    worker = HashWorker(theirs.fileno(), implementation(), with_tensors=True)
    worker._pace.waits_for_processor = waits_for_processor
    serving = threading.Thread(target=worker.serve)
    serving.start()
    files = [[number, str(path), must] for number, (path, must) in enumerate(asked)]
    ours.sendall(json.dumps(["read", False, is_soon, files]).encode() + b"\n")
    found: dict[int, Any] = {}
    with ours.makefile("rb") as lines:
        while len(found) < len(files):
            kind, items = json.loads(lines.readline())
            if kind == "done":
                found |= {number: result for number, _, result in items}
        ours.shutdown(socket.SHUT_WR)
    serving.join()
    for end in (ours, theirs):
        end.close()
    results = [result for _, result in sorted(found.items())]
    assert [kind for kind, *_ in results] == ["digest"] * len(files)
    return results


def tensors(result: list[Any]) -> str | None:
    digest: str | None = result[4]["tensors"]
    return digest


@pytest.fixture(autouse=True)
def never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_lanes, "PACE_SECONDS", 1e9)


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [large(tmp_path / f"{name}.safetensors", name.encode()) for name in "ab"]


@pytest.mark.parametrize("is_soon", [False, True])
def test_files_of_any_sizes_side_by_side_have_their_digests(tmp_path: Path, is_soon: bool) -> None:
    sizes = [number * (3 << 20) + 17 * number for number in (0, 4, 1, 3, 2, 5)]
    files = [tmp_path / f"{number}.pt" for number in range(len(sizes))]
    for path, size in zip(files, sizes, strict=True):
        path.write_bytes(os.urandom(size))
    found = [sha256 for _, sha256, *_ in read([(path, False) for path in files], is_soon=is_soon)]
    assert found == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_tensors_are_left_to_idle_times_where_two_large_files_are_in_memory(two: list[Path]) -> None:
    with ExitStack() as held:
        for path in two:
            held.enter_context(kept_in_memory(path))
        results = read([(path, False) for path in two])
    assert [tensors(result) for result in results] == [None, None]


def test_tensors_are_left_to_idle_times_where_two_large_files_wait_for_the_processor(two: list[Path]) -> None:
    for path in two:
        forget(path)
    results = read([(path, False) for path in two], waits_for_processor=True)
    assert [tensors(result) for result in results] == [None, None]


def test_tensors_are_read_at_once_where_nobody_may_be_waiting_for_the_processor(two: list[Path]) -> None:
    for path in two:
        forget(path)
    assert all(tensors(result) for result in read([(path, False) for path in two]))


def test_a_small_file_beside_a_large_one_leaves_it_its_tensors(two: list[Path], tmp_path: Path) -> None:
    small = tmp_path / "small.safetensors"
    small.write_bytes(safetensors("small"))
    results = read([(two[0], False), *[(small, False)] * 20], waits_for_processor=True)
    assert all(tensors(result) for result in results)


def test_tensors_that_are_asked_for_are_read_at_once(two: list[Path]) -> None:
    assert all(tensors(result) for result in read([(path, True) for path in two], waits_for_processor=True))


def test_a_file_alone_gives_its_tensors_a_digest_at_once(two: list[Path]) -> None:
    (result,) = read([(two[0], False)], waits_for_processor=True)
    assert tensors(result)
