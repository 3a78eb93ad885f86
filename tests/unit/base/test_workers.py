"""Worker processes: they outlive each other's deaths, but not their parent's."""

import asyncio
import errno
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.process_groups import IMAGE_WORKER, children, workers_among
from tests.waiting import wait_until, wait_until_async

from modelkeep.base.workers import WorkerPool
from modelkeep.errors import NoWorkers, WorkerDied

PARENT = """
    import asyncio, os, sys, time
    from modelkeep.base.workers import WorkerPool

    async def main():
        pool = WorkerPool(2)
        busy = [asyncio.ensure_future(pool.run(time.sleep, 600))]
        print(os.getpid(), await pool.run(os.getpid), flush=True)
        await asyncio.gather(*busy)

    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.shutdown()


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def children_of(parent: int) -> list[int]:
    return workers_among(children(parent), IMAGE_WORKER)


async def test_a_function_runs_in_another_process(pool: WorkerPool) -> None:
    assert await pool.run(os.getpid) != os.getpid()
    assert await pool.run(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


async def test_an_error_of_the_function_comes_back_and_costs_no_worker(pool: WorkerPool) -> None:
    before = await pool.run(os.getpid)
    with pytest.raises(FileNotFoundError):
        await pool.run(os.stat, "/nowhere")
    assert await pool.run(os.getpid) == before


class Odd(Exception):
    """An error that can be sent, and not be made again of what was sent."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def fail_oddly() -> None:
    raise Odd("so", "odd")


class OddResult:
    """A result of which the same is true."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("so odd",)


@pytest.mark.parametrize(("function", "error"), [(fail_oddly, RuntimeError), (OddResult, ValueError)])
async def test_an_answer_that_cannot_be_made_again_is_told_and_mixes_up_no_others(
    pool: WorkerPool, function: Callable[[], object], error: type[Exception]
) -> None:
    with pytest.raises(error, match="so odd"):
        await pool.run(function)
    assert [await pool.run(abs, -number) for number in range(3)] == [0, 1, 2]


async def test_a_worker_that_is_killed_is_told_and_the_next_call_works(pool: WorkerPool) -> None:
    before = await pool.run(os.getpid)
    with pytest.raises(WorkerDied, match="killed"):
        await pool.run(signal.raise_signal, signal.SIGKILL)
    assert await pool.run(os.getpid) != before


async def test_a_worker_that_is_killed_while_idle_costs_nobody_an_answer(pool: WorkerPool) -> None:
    before = await pool.run(os.getpid)
    os.kill(before, signal.SIGKILL)
    await wait_until_async(lambda: not is_alive(before))
    for _ in range(3):
        with suppress(WorkerDied):  # it may be noticed only by the next call
            assert await pool.run(os.getpid) != before
            break
    assert await pool.run(os.getpid) != before


async def test_everything_that_ran_when_a_worker_died_is_told(pool: WorkerPool) -> None:
    waiting = [asyncio.ensure_future(pool.run(os.getpid)) for _ in range(3)]
    waiting.insert(0, asyncio.ensure_future(pool.run(signal.raise_signal, signal.SIGKILL)))  # type: ignore[arg-type]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], WorkerDied)
    assert all(isinstance(result, WorkerDied | int) for result in results)
    assert isinstance(await pool.run(os.getpid), int)


async def test_released_workers_end_and_come_back(pool: WorkerPool) -> None:
    before = await pool.run(os.getpid)
    await asyncio.to_thread(pool.release)
    assert not is_alive(before)
    assert await pool.run(os.getpid) != before


async def test_busy_workers_are_not_released(pool: WorkerPool) -> None:
    busy = await pool.run(os.getpid)
    running = asyncio.ensure_future(pool.run(os.read, os.open("/dev/null", os.O_RDONLY), 0))
    await asyncio.sleep(0)
    pool.release()
    with suppress(OSError):  # that descriptor is none of the worker's
        await running
    assert await pool.run(os.getpid) == busy


async def test_the_initializer_runs_in_every_worker() -> None:
    pool = WorkerPool(1, partial(os.chdir, "/proc"))
    try:
        assert await pool.run(os.getcwd) == "/proc"
    finally:
        pool.shutdown()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSEGV])
def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path, ending: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, cwd=tmp_path)
    try:
        assert parent.stdout is not None
        itself, _ = (int(pid) for pid in parent.stdout.readline().split())
        workers = children_of(itself)
        assert len(workers) >= 2, "one that sleeps and one that has answered"
        parent.send_signal(ending)
        parent.wait(timeout=60)
        wait_until(lambda: not any(map(is_alive, workers)))
    finally:
        parent.kill()
        parent.communicate()


async def test_one_call_needs_one_worker_and_several_at_a_time_get_one_each() -> None:
    pool, before = WorkerPool(2), set(children_of(os.getpid()))
    try:
        for _ in range(3):
            await pool.run(os.getpid)
        assert len(set(children_of(os.getpid())) - before) == 1
        await asyncio.gather(*(pool.run(time.sleep, 0.01) for _ in range(5)))
        assert len(set(children_of(os.getpid())) - before) == 2
    finally:
        pool.shutdown()


async def test_a_worker_that_is_killed_takes_no_other_along() -> None:
    pool = WorkerPool(2)
    read, write = os.pipe()
    try:
        busy = asyncio.ensure_future(pool.run(Path(f"/proc/{os.getpid()}/fd/{read}").read_bytes))
        with pytest.raises(WorkerDied):
            await pool.run(signal.raise_signal, signal.SIGKILL)
        os.write(write, b"alive")
        # The worker has to have opened it before nobody writes to it any more.
        await wait_until_async(lambda: not select.select([read], [], [], 0)[0], what="the other one to have read it")
        os.close(write)
        assert await busy == b"alive"
    finally:
        pool.shutdown()
        os.close(read)


async def test_workers_that_cannot_be_started_are_no_death_and_are_started_when_they_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = WorkerPool(2)

    def none_more(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    try:
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", none_more)
            for _ in range(2):
                with pytest.raises(NoWorkers, match="limit of processes"):
                    await pool.run(os.getpid)
        assert await pool.run(os.getpid) != os.getpid()
    finally:
        pool.shutdown()


async def test_what_waits_when_the_workers_are_ended_is_told_so() -> None:
    pool = WorkerPool(1)
    calls = [asyncio.ensure_future(pool.run(time.sleep, 600)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(pool.abandon, 60.0)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [WorkerDied, WorkerDied]
    assert pool.hanging == 0


@pytest.mark.parametrize("ending", [partial(os._exit, 3), os.abort])
async def test_workers_that_end_while_they_begin_are_no_death(ending: Callable[[], None]) -> None:
    pool = WorkerPool(2, ending)
    results = await asyncio.gather(*(pool.run(os.getpid) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [NoWorkers] * 3
    assert "memory" in str(results[0])


async def test_a_program_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = str(tmp_path / "python")
    monkeypatch.setattr(sys, "executable", gone)
    with pytest.raises(NoWorkers, match="python is gone"):
        await WorkerPool(1).run(os.getpid)
