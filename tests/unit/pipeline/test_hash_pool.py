"""Real worker processes: several files at once, progress, calling off, and the death of a worker."""

import asyncio
import gc
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes import NOT_UTF8
from tests.libraries import sha256_of
from tests.process_groups import HASH_WORKER, children, readers_among, workers_among
from tests.waiting import DEADLINE_SECONDS, wait_until_async

from modelkeep.dev.hashing_double import digest_of
from modelkeep.disk.reach import reading_error
from modelkeep.disk.statx import see
from modelkeep.domain.hashing import Digest, FileInRoot, FileToHash, HashBatch, HashOutcome
from modelkeep.errors import FileVanished, HashCancelled, HashError, NoWorkers, RootSilent, WorkerDied
from modelkeep.pipeline import sha256
from modelkeep.pipeline.hash_pool import MOST_WORKERS, HashPool, default_workers, large_files
from modelkeep.pipeline.sha256 import implementation

WORKERS = 2


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[HashPool]:
    pool = HashPool(WORKERS, step_back=True)
    yield pool
    await pool.close()


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


def workers() -> list[int]:
    """Return the process ids of all hashing processes that we have started."""
    return sorted(workers_among(children(os.getpid()), HASH_WORKER))


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


async def is_hashing(pool: HashPool, path: Path) -> None:
    await wait_until_async(lambda: any(active.path == str(path) and active.bytes_done for active in pool.active()))


async def test_several_files_are_hashed_at_once(pool: HashPool, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.pt", NOT_UTF8)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 3_000_001)
    digests = await asyncio.gather(*(digest_of(pool, file(path), 3_000_001) for path in paths))
    assert [digest.sha256 for digest in digests] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [digest.fingerprint for digest in digests] == [see(str(path)).fingerprint for path in paths]
    assert pool.active() == []


async def test_what_is_being_hashed_shows_how_far_it_is_until_it_is_called_off(pool: HashPool, endless: Path) -> None:
    running = asyncio.ensure_future(digest_of(pool, file(endless), 2**40))
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
    digest = await digest_of(pool, file(model), 300_000)
    assert digest.fingerprint.size_bytes == 300_000


async def test_a_killed_worker_is_told_and_the_next_call_works(pool: HashPool, endless: Path, model: Path) -> None:
    running = asyncio.ensure_future(digest_of(pool, file(endless), 2**40))
    await is_hashing(pool, endless)
    for pid in readers_among(workers(), endless):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="killed"):
        await running
    assert pool.active() == []
    assert (await digest_of(pool, file(model), 300_000)).fingerprint.size_bytes == 300_000


async def test_what_runs_beside_a_killed_worker_goes_on(pool: HashPool, endless: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    os.link(endless, other)
    running = [asyncio.ensure_future(digest_of(pool, file(path), 2**40)) for path in (endless, other)]
    await is_hashing(pool, endless)
    await is_hashing(pool, other)
    (killed,) = readers_among(workers(), endless)
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
    pool = HashPool(1, step_back=False, silence_seconds=1.0)
    running = asyncio.ensure_future(digest_of(pool, file(endless), 2**40))
    await is_hashing(pool, endless)
    (stopped,) = readers_among(workers(), endless)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(RootSilent, match=r"endless.pt could not be read: nothing has come for 1 s"):
        await running
    assert (await digest_of(pool, file(model), 300_000)).fingerprint.size_bytes == 300_000
    await wait_until_async(lambda: not pool.hanging, what="the worker that hung to be dead")
    await pool.close()


async def test_a_worker_that_comes_no_further_holds_up_no_stop(endless: Path) -> None:
    pool = HashPool(1, step_back=False)
    running = asyncio.ensure_future(digest_of(pool, file(endless), 2**40))
    await is_hashing(pool, endless)
    (stopped,) = readers_among(workers(), endless)
    os.kill(stopped, signal.SIGSTOP)
    pool.hasten()
    pool.cancel_all()
    with pytest.raises(HashCancelled):
        await asyncio.wait_for(running, 10)
    await pool.close()
    await wait_until_async(lambda: stopped not in workers(), what="it to be dead")


async def test_workers_that_step_back_for_nobody_are_behind_the_daemon_all_the_same(model: Path) -> None:
    pool = HashPool(1, step_back=False)
    try:
        before = workers()
        await digest_of(pool, file(model), 300_000)
        (started,) = set(workers()) - set(before)
        assert niceness(started) == min(19, os.nice(0) + 5)
    finally:
        await pool.close()


async def test_workers_step_back_and_leave_the_terminals_signals_to_the_daemon(pool: HashPool, model: Path) -> None:
    await digest_of(pool, file(model), 300_000)
    before = workers()
    stepped_back = {min(19, os.nice(0) + 10)}
    await wait_until_async(lambda: {niceness(pid) for pid in before} == stepped_back)  # one may be starting still
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    await digest_of(pool, file(model), 300_000)
    assert workers() == before


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
        await digest_of(pool, file(tmp_path / name), 1)
    assert type(caught.value) is error
    assert pool.active() == []


async def test_a_file_that_may_not_be_read_is_a_sentence_that_says_what_to_do() -> None:
    error = reading_error("/m/a.pt", PermissionError(13, "Permission denied"))
    assert str(error) == "a.pt may not be read by the daemon's user: check its rights and those of its folders"


async def test_a_python_that_cannot_even_be_looked_at_leaves_nobody_waiting(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As one in a folder that the daemon's user may not enter any more, or on a server that has forgotten it.
    monkeypatch.setattr(sys, "executable", f"/{'x' * 300}")
    pool = HashPool(1, step_back=True)
    with pytest.raises(NoWorkers, match="cannot be started: File name too long"):
        await asyncio.wait_for(digest_of(pool, file(model), 7), DEADLINE_SECONDS)
    await pool.close()


async def test_workers_that_have_nothing_to_do_end_and_come_back(model: Path) -> None:
    pool = HashPool(1, step_back=False, idle_seconds=0.1)
    before = set(workers())
    for _ in range(2):
        await digest_of(pool, file(model), 300_000)
        await wait_until_async(lambda: set(workers()) <= before, what="the worker to end")
    await pool.close()


async def test_workers_are_made_ready_for_as_many_files_as_they_are_and_end_when_none_comes() -> None:
    pool = HashPool(WORKERS, step_back=False, idle_seconds=0.1)
    before = set(workers())
    pool.make_ready(WORKERS + 1)
    await wait_until_async(lambda: len(set(workers()) - before) == WORKERS, what="all workers to be started")
    await wait_until_async(lambda: set(workers()) <= before, what="the workers to end")
    await pool.close()


async def test_a_worker_that_was_made_ready_is_the_one_that_reads(model: Path) -> None:
    pool = HashPool(WORKERS, step_back=False)
    before = set(workers())
    for _ in range(WORKERS + 1):
        pool.make_ready(1)
        await digest_of(pool, file(model), 300_000)
    assert len(set(workers()) - before) == 1
    await pool.close()


async def test_many_small_files_go_to_one_worker_and_come_back_together(tmp_path: Path) -> None:
    pool = HashPool(1, step_back=False)
    names = [f"{number}.pt" for number in range(100)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 100)
    (tmp_path / names[50]).unlink()
    delivered: list[list[HashOutcome]] = []
    files = [FileToHash(FileInRoot(str(tmp_path), name), 500) for name in names]
    pool.submit(HashBatch(files), lambda outcomes: delivered.append(list(outcomes)))
    await wait_until_async(lambda: sum(map(len, delivered)) == 100)
    assert len(delivered) < 50
    results = {outcome.number: outcome.result for outcomes in delivered for outcome in outcomes}
    assert isinstance(results.pop(50), FileVanished)
    found = {names[number]: result.sha256 for number, result in results.items() if isinstance(result, Digest)}
    assert found == {name: sha256_of(name.encode() * 100) for name in names if name != names[50]}
    await pool.close()


@pytest.mark.skipif(implementation().streams == 1, reason="hashlib reads one file at a time")
async def test_files_of_a_device_are_read_at_once_by_one_worker_unless_it_bears_one_reader(
    endless: Path, tmp_path: Path
) -> None:
    pool, ended = HashPool(1, step_back=False), list[HashOutcome]()
    paths = [endless, *(tmp_path / f"other{number}.pt" for number in range(large_files() - 1))]
    for path in paths[1:]:
        os.link(endless, path)
    batch = [FileToHash(file(path), 2**40) for path in paths]
    pool.submit(HashBatch(batch), ended.extend)
    for path in paths:
        await is_hashing(pool, path)
    pool.cancel_all()
    await wait_until_async(lambda: len(ended) == len(paths))
    pool.submit(HashBatch(batch, one_by_one=True), ended.extend)
    await is_hashing(pool, endless)
    (only,) = pool.active()
    assert only.path == str(endless)
    await pool.close()


async def test_a_worker_reads_from_one_device_at_a_time_and_has_few_large_files_of_it_in_hand(endless: Path) -> None:
    pool = HashPool(1, step_back=False)
    batch, ended = HashBatch([FileToHash(file(endless), 2**40)], device=7), list[HashOutcome]()
    for _ in range(large_files()):
        assert pool.room(7, soon=False)
        pool.submit(batch, ended.extend)
        assert (pool.room(8, soon=False), pool.room(8, soon=True)) == (0, 0)
    assert pool.room(7, soon=False) == 0
    await is_hashing(pool, endless)
    await pool.close()
    assert [type(outcome.result) for outcome in ended] == [HashCancelled] * large_files()


@pytest.mark.parametrize("one_by_one", [False, True], ids=["any disk", "a rotating disk"])
async def test_what_is_for_soon_does_not_wait_for_large_files(endless: Path, model: Path, one_by_one: bool) -> None:
    pool, ended, soon = HashPool(WORKERS, step_back=False), list[HashOutcome](), list[HashOutcome]()
    large = HashBatch([FileToHash(file(endless), 2**40)], one_by_one=one_by_one)
    for _ in range(1 if one_by_one else WORKERS * large_files()):
        pool.submit(large, ended.extend)
    await is_hashing(pool, endless)
    small = FileToHash(file(model), 300_000)
    assert pool.room(0, soon=True) >= 2
    pool.submit(HashBatch([small, small], one_by_one=one_by_one, soon=True), soon.extend)
    before = {*workers()}
    await wait_until_async(lambda: len(soon) == 2)
    assert [outcome.result for outcome in soon if not isinstance(outcome.result, Digest)] == []
    # Two processes would have a rotating disk seek to and fro.
    assert {*workers()} <= before
    assert ended == []
    await pool.close()


async def test_why_hashing_is_slower_than_it_could_be_is_said_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "modelkeep.hashing")
    monkeypatch.setattr(sha256, "LIBRARY", tmp_path / "missing.so")
    implementation.cache_clear()
    pool, ended = HashPool(2, step_back=False), list[HashOutcome]()
    try:
        for _ in range(2):
            pool.submit(HashBatch([FileToHash(file(model), 300_000)]), ended.extend)
        await wait_until_async(lambda: len(ended) == 2)
    finally:
        implementation.cache_clear()
        await pool.close()
    reason = "the library for SHA-NI was not built when modelkeep was installed"
    said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [(entry["event"], entry["reason"]) for entry in said] == [("hashing.not_fastest", reason)]


@pytest.mark.parametrize("turns", range(1, 5))
async def test_a_stop_while_a_process_starts_leaves_nothing_to_complain_of(
    turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    pool = HashPool(1, step_back=False)
    pool.make_ready(1)
    for _ in range(turns):
        await asyncio.sleep(0)
    await pool.close()
    await asyncio.sleep(0)
    del pool
    gc.collect()
    assert caplog.messages == []


async def test_the_number_of_workers_suits_the_machine() -> None:
    assert 1 <= default_workers() <= MOST_WORKERS
    assert default_workers() <= (os.cpu_count() or 1)
    pool = HashPool(0, step_back=False)
    assert pool.workers == default_workers()
    await pool.close()


async def test_a_worker_whose_daemon_is_gone_ends_without_a_word() -> None:
    ours, theirs = socket.socketpair()
    ours.shutdown(socket.SHUT_RD)  # it cannot say that it has begun
    program = "from modelkeep.pipeline.hash_worker import main; main()"
    with ours, theirs:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, str(os.getpid()), "0", "0", "1"],
            stdin=theirs.fileno(),
            capture_output=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, b"")
