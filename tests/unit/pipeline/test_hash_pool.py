"""Real worker processes: several files at once, progress, calling off, and the death of a worker."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NOT_UTF8
from tests.waiting import wait_until, wait_until_async

from modelkeep.disk.reach import reading_error
from modelkeep.disk.statx import see
from modelkeep.domain.hashing import FileInRoot
from modelkeep.errors import FileVanished, HashCancelled, HashError, RootSilent, WorkerDied
from modelkeep.pipeline.hash_pool import MOST_WORKERS, HashPool, default_workers

WORKERS = 2


@pytest.fixture(scope="module")
def pool() -> Iterator[HashPool]:
    pool = HashPool(WORKERS, step_back=True)
    yield pool
    pool.shutdown()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a.pt"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that takes minutes to read."""
    path = tmp_path / "endless.pt"
    path.touch()
    os.truncate(path, 2**40)
    return path


def file(path: Path) -> FileInRoot:
    return FileInRoot(str(path.parent), path.name)


def workers(pool: HashPool) -> list[int]:
    """Return the process ids of a pool's workers."""
    return sorted(pid for slot in [*pool._free, *pool._active] for pid in workers_of(slot))


def workers_of(slot: Any) -> list[int]:
    executor = slot.pool._executor
    return list(executor._processes) if executor is not None else []


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


async def is_hashing(pool: HashPool, path: Path) -> None:
    await wait_until_async(lambda: any(active.path == str(path) and active.bytes_done for active in pool.active()))


async def test_several_files_are_hashed_at_once(pool: HashPool, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.pt", NOT_UTF8)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 3_000_001)
    digests = await asyncio.gather(*(pool.digest(file(path), 3_000_001) for path in paths))
    assert [digest.sha256 for digest in digests] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [digest.fingerprint for digest in digests] == [see(str(path)).fingerprint for path in paths]
    assert pool.active() == []


async def test_what_is_being_hashed_shows_how_far_it_is_until_it_is_called_off(pool: HashPool, endless: Path) -> None:
    running = asyncio.ensure_future(pool.digest(file(endless), 2**40))
    await is_hashing(pool, endless)
    (active,) = pool.active()
    assert (active.path, active.bytes_total) == (str(endless), 2**40)
    assert 0 < active.bytes_done < 2**40
    assert active.bytes_per_s > 0
    pool.cancel_all()
    with pytest.raises(HashCancelled):
        await running
    assert pool.active() == []


async def test_after_calling_off_the_next_file_is_hashed(pool: HashPool, model: Path) -> None:
    pool.cancel_all()
    digest = await pool.digest(file(model), 300_000)
    assert digest.fingerprint.size_bytes == 300_000


async def test_a_killed_worker_is_told_and_the_next_call_works(pool: HashPool, endless: Path, model: Path) -> None:
    running = asyncio.ensure_future(pool.digest(file(endless), 2**40))
    await is_hashing(pool, endless)
    for pid in workers(pool):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="killed"):
        await running
    assert pool.active() == []
    assert (await pool.digest(file(model), 300_000)).fingerprint.size_bytes == 300_000


async def test_what_runs_beside_a_killed_worker_goes_on(pool: HashPool, endless: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    os.link(endless, other)
    running = [asyncio.ensure_future(pool.digest(file(path), 2**40)) for path in (endless, other)]
    await is_hashing(pool, endless)
    await is_hashing(pool, other)
    (killed,) = (pid for slot in pool._active for pid in workers_of(slot) if pool._active[slot][0] == str(endless))
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await running[0]
    assert [active.path for active in pool.active()] == [str(other)]
    pool.cancel_all()
    with pytest.raises(HashCancelled):
        await running[1]


async def test_a_worker_that_comes_no_further_is_left_behind_and_another_takes_its_place(
    endless: Path, model: Path
) -> None:
    pool = HashPool(1, step_back=False, silence_seconds=0.3)
    try:
        running = asyncio.ensure_future(pool.digest(file(endless), 2**40))
        await is_hashing(pool, endless)
        (stopped,) = workers(pool)
        os.kill(stopped, signal.SIGSTOP)
        with pytest.raises(RootSilent, match=r"endless.pt could not be read: nothing has come for 0.3 s"):
            await running
        assert (await pool.digest(file(model), 300_000)).fingerprint.size_bytes == 300_000
        await wait_until_async(lambda: not pool.hanging, what="the worker that hung to be dead")
    finally:
        pool.shutdown()


async def test_a_worker_that_comes_no_further_holds_up_no_stop(endless: Path) -> None:
    pool = HashPool(1, step_back=False)
    running = asyncio.ensure_future(pool.digest(file(endless), 2**40))
    await is_hashing(pool, endless)
    os.kill(workers(pool)[0], signal.SIGSTOP)
    pool.hasten()
    pool.cancel_all()
    with pytest.raises(HashCancelled):
        await asyncio.wait_for(running, 10)
    pool.shutdown()


async def test_workers_step_back_and_leave_the_terminals_signals_to_the_daemon(pool: HashPool, model: Path) -> None:
    await pool.digest(file(model), 300_000)
    before = workers(pool)
    stepped_back = {min(19, os.nice(0) + 10)}
    await wait_until_async(lambda: {niceness(pid) for pid in before} == stepped_back)  # one may be starting still
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    await pool.digest(file(model), 300_000)
    assert workers(pool) == before


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("nowhere.pt", FileVanished, "there is no file at "),
        ("a.pt/below.pt", FileVanished, "there is no file at "),
        ("folder.pt", HashError, "folder.pt is not a regular file"),
        ("fifo.pt", HashError, "fifo.pt is not a regular file"),
        ("x" * 300 + ".pt", HashError, "could not be read: File name too long"),
        ("loop.pt", HashError, "could not be read: Too many levels of symbolic links"),
    ],
)
async def test_a_file_that_cannot_be_hashed_is_a_sentence(
    pool: HashPool, model: Path, tmp_path: Path, name: str, error: type[HashError], sentence: str
) -> None:
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "fifo.pt")
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    with pytest.raises(error, match=sentence) as caught:
        await pool.digest(file(tmp_path / name), 1)
    assert type(caught.value) is error
    assert pool.active() == []


def test_a_file_that_may_not_be_read_is_a_sentence_that_says_what_to_do() -> None:
    error = reading_error("/m/a.pt", PermissionError(13, "Permission denied"))
    assert str(error) == "a.pt may not be read by the daemon's user: check its rights and those of its folders"


async def test_idle_workers_are_released_and_come_back(pool: HashPool, model: Path) -> None:
    await pool.digest(file(model), 300_000)
    before = workers(pool)
    assert before != []
    await asyncio.to_thread(pool.release)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))
    await pool.digest(file(model), 300_000)


async def test_busy_workers_are_not_released(pool: HashPool, endless: Path) -> None:
    running = asyncio.ensure_future(pool.digest(file(endless), 2**40))
    await is_hashing(pool, endless)
    pool.release()
    assert pool.active() != []
    pool.cancel_all()
    with pytest.raises(HashCancelled):
        await running


def test_the_number_of_workers_suits_the_machine() -> None:
    assert 1 <= default_workers() <= MOST_WORKERS
    assert default_workers() <= (os.cpu_count() or 1)
    pool = HashPool(0, step_back=False)
    assert pool.workers == default_workers()
    pool.shutdown()
