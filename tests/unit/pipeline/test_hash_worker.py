"""What a hashing process does with the files that it is given, over a socket as the daemon uses it."""

import json
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelkeep.pipeline import hash_worker
from modelkeep.pipeline.file_reading import LATER_BYTES
from modelkeep.pipeline.hash_worker import HashWorker
from modelkeep.pipeline.sha256 import implementation

pytestmark = pytest.mark.skipif(not implementation().takes_two, reason="two files are not hashed at once here")

SLOW, QUICK = 1e9, 0.0


def large(path: Path, seed: bytes) -> Path:
    """Write a whole safetensors file that is large enough to be read again for its tensors; mostly a hole."""
    size = LATER_BYTES
    header = json.dumps({"t": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + seed)
        file.truncate(8 + len(header) + size)
    path.read_bytes()  # it is in memory then, so the processor is what is waited for
    return path


def tensors_of(asked: Sequence[tuple[Path, bool]]) -> list[str | None]:
    """Have files read, each of which says whether its tensors must get a digest; returns those digests."""
    ours, theirs = socket.socketpair()
    worker = HashWorker(theirs, implementation(), with_tensors=True)
    serving = threading.Thread(target=worker.serve)
    serving.start()
    files = [[number, str(path), must] for number, (path, must) in enumerate(asked)]
    ours.sendall(json.dumps(["read", False, files]).encode() + b"\n")
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
    assert [result[0] for _, result in sorted(found.items())] == ["digest"] * len(files)
    return [result[4]["tensors"] for _, result in sorted(found.items())]


def test_tensors_are_left_to_idle_times_where_two_large_files_wait_for_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_worker, "PACE_SECONDS", QUICK)
    files = [large(tmp_path / f"{name}.safetensors", name.encode()) for name in "ab"]
    first, second = tensors_of([(path, False) for path in files])
    assert (first, second) == (None, None)


@pytest.mark.parametrize(("pace", "must"), [(SLOW, False), (QUICK, True)], ids=["nobody waits", "asked for"])
def test_tensors_are_read_at_once_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: float, must: bool
) -> None:
    monkeypatch.setattr(hash_worker, "PACE_SECONDS", pace)
    files = [large(tmp_path / f"{name}.safetensors", name.encode()) for name in "ab"]
    assert all(tensors_of([(path, must) for path in files]))


def test_a_file_alone_gives_its_tensors_a_digest_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_worker, "PACE_SECONDS", QUICK)
    (tensors,) = tensors_of([(large(tmp_path / "a.safetensors", os.urandom(9)), False)])
    assert tensors
