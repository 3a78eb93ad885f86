"""Files, processes and rights for the tests of the pipeline."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from modelkeep.domain.values import Fingerprint
from modelkeep.errors import HashCancelled, HashError, NoWorkers
from modelkeep.pipeline import intake
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.scan import Listing, walk

NOT_UTF8 = "caf\udce9 模型.safetensors"
"""A base name whose bytes are no UTF-8."""

NOBODY = 65534

_HOLD_OPEN = "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"

HoldsOpen = Callable[[Path, str], "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True, scope="session")
def ignored_sigio() -> Iterator[None]:
    """A lease that is broken in the instant in which it is asked for sends SIGIO, whose default is to end us."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def hold_open() -> Iterator[HoldsOpen]:
    """Start processes that hold a file open in a mode (`r`, `ab`, …) until their standard input is closed."""
    started: list[subprocess.Popen[bytes]] = []

    def hold(path: Path, mode: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _HOLD_OPEN, os.fsencode(path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        return process

    yield hold
    for process in started:
        let_go(process)


def let_go(process: "subprocess.Popen[bytes]") -> None:
    """Have a process close its file and end."""
    with suppress(ValueError):  # it was closed already
        process.communicate(timeout=10)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter as well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def without_rights() -> Iterator[None]:
    """Run as a user to whom nothing belongs, if we are root: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def walks_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans run as a user to whom nothing belongs."""

    def walk_so(folder: str, extensions: Sequence[str], root: str | None) -> Listing:
        with without_rights():
            return walk(folder, extensions, root)

    monkeypatch.setattr(intake, "walk", walk_so)


class GatedPool:
    """Begins what it is given and ends it when the test says how."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Future[Digest]] = {}

    async def digest(self, path: str, size_bytes: int) -> Digest:
        assert len(self.running) < self.workers, "more work than workers"
        self.begun.append(path)
        self.running[path] = asyncio.get_running_loop().create_future()
        try:
            return await self.running[path]
        finally:
            del self.running[path]

    def cancel_all(self) -> None:
        for path in list(self.running):
            self.end(path, HashCancelled("called off"))

    def end(self, path: str, error: HashError | NoWorkers | None = None, digest: Digest | None = None) -> None:
        """End the reading of a file, with a made-up digest unless one is given."""
        if error is None:
            self.running[path].set_result(digest or Digest(path * 2, Fingerprint(0, 0, 0, 0)))
        else:
            self.running[path].set_exception(error)


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(20):
        await asyncio.sleep(0)
