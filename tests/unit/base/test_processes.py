"""Processes of ours are started so that the terminal's signals reach the daemon alone, from the first instant on."""

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.dev.hashing_double import digest_of
from modelkeep.domain.hashing import FileInRoot
from modelkeep.pipeline.hash_pool import HashPool


class PressesKeys(subprocess.Popen[bytes]):
    """A process to which somebody presses Ctrl-C, and closes the terminal, before it can do anything about it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for number in (signal.SIGINT, signal.SIGHUP):
            self.send_signal(number)
            os.kill(os.getpid(), number)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The signals that the process itself gets, to which that happens too."""
    monkeypatch.setattr(subprocess, "Popen", PressesKeys)
    numbers: list[int] = []
    before = [
        (number, signal.signal(number, lambda number, _frame: numbers.append(number)))
        for number in (signal.SIGINT, signal.SIGHUP)
    ]
    yield numbers
    for number, handler in before:
        signal.signal(number, handler)


async def run_in_worker(_file: FileInRoot) -> None:
    pool = WorkerPool(1)
    try:
        assert await pool.run(os.getpid) != os.getpid()
    finally:
        pool.shutdown()


async def hash_a_file(file: FileInRoot) -> None:
    pool = HashPool(1, step_back=True)
    try:
        await digest_of(pool, file, 7)
    finally:
        await pool.close()


@pytest.mark.parametrize("work", [run_in_worker, hash_a_file])
async def test_a_worker_that_begins_hears_no_key_of_the_terminal_and_the_daemon_hears_each(
    heard: list[int], work: Callable[[FileInRoot], Awaitable[None]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    (tmp_path / "a.pt").write_bytes(b"weights")
    await work(FileInRoot(str(tmp_path), "a.pt"))
    await wait_until_async(lambda: sorted(heard) == [signal.SIGHUP, signal.SIGINT], what="both signals")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
    assert capfd.readouterr().err == ""
