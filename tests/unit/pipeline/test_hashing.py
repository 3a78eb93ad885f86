"""Which file is hashed next, with a pool whose work ends when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.fakes import settled
from tests.waiting import wait_until_async

from modelkeep.dev.hashing_double import GatedHashing
from modelkeep.disk.media import FAST, ROTATING
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Deliver, Digest, HashBatch
from modelkeep.domain.values import Priority
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, NoWorkers, WorkerDied
from modelkeep.pipeline import hashing
from modelkeep.pipeline.hashing import BATCH_BYTES, DEATHS_MAX, HashStage, Read
from modelkeep.pipeline.jobs import Job, Stage

DISK, OTHER_DISK, SSD = 7, 8, 9


def print_of(path: str, device: int = SSD, size_bytes: int = 10) -> Fingerprint:
    return Fingerprint(device, sum(map(ord, path)), size_bytes, 5)


class Bench:
    """A stage, its pool, and what came out of it."""

    def __init__(self, workers: int = 1) -> None:
        self.pool = GatedHashing(workers)
        self.hashed: list[str] = []
        self.failed: list[tuple[str, HashError]] = []
        self.drained = 0
        self.jobs: dict[str, Job] = {}
        self.refused: list[str] = []
        self.stage = HashStage(self.pool, Roots(), self._on_read, self._on_drained)

    def _on_read(self, read: Read) -> None:
        path, outcome = read.job.path, read.outcome
        if isinstance(outcome, Digest):
            assert (outcome.sha256, read.seconds >= 0) == (path * 2, True)
            self.hashed.append(path)
        elif isinstance(outcome, NoWorkers):
            self.refused.append(path)
        else:
            self.failed.append((path, outcome))

    def _on_drained(self) -> None:
        self.drained += 1

    def put(self, *paths: str, priority: Priority = Priority.NEW, device: int = SSD, size_bytes: int = 10) -> None:
        for path in paths:
            pending_id = 0 if priority is Priority.INTERACTIVE else 1
            self.jobs[path] = Job(path, priority, pending_id)
            self.stage.put(self.jobs[path], print_of(path, device, size_bytes))

    async def begun(self, count: int) -> list[str]:
        await wait_until_async(lambda: len(self.pool.begun) >= count)
        await settled()
        return self.pool.begun

    async def finish_all(self) -> list[str]:
        """End work after work until none is left; returns the order in which all began."""
        while self.pool.running or self.stage.hashing or self.stage.queued:
            for path in list(self.pool.running):
                self.pool.end(path)
            await asyncio.sleep(0)
        await settled()
        return self.pool.begun


MakeBench = Callable[[int], Bench]


@pytest.fixture
async def make_bench() -> AsyncIterator[MakeBench]:
    made: list[Bench] = []

    def make(workers: int) -> Bench:
        made.append(Bench(workers))
        return made[-1]

    yield make
    for bench in made:
        await bench.stage.stop()


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench(1)


@pytest.fixture
def rotating_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "medium_of", lambda device, _: ROTATING if device in (DISK, OTHER_DISK) else FAST)


class TestExpecting:
    @pytest.mark.usefixtures("rotating_disks")
    async def test_it_is_prepared_for_no_more_files_than_their_disks_bear_readers(self, bench: Bench) -> None:
        bench.stage.expect([(path, print_of(path, device)) for path in "abc" for device in (DISK, OTHER_DISK)])
        bench.stage.expect([(path, print_of(path)) for path in "abc"])
        assert bench.pool.expected == [2, 3]

    async def test_nothing_is_prepared_where_nothing_would_be_begun(self, bench: Bench) -> None:
        bench.stage.expect([])
        bench.stage.paused = True
        bench.stage.expect([("a", print_of("a"))])
        assert bench.pool.expected == []


class TestOrder:
    async def test_the_more_urgent_goes_first_and_of_equals_the_one_that_came_first(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("claim 1", "claim 2", priority=Priority.CLAIM)
        bench.put("sweep 1", "sweep 2", priority=Priority.SWEEP)
        bench.put("new 1", "new 2", priority=Priority.NEW)
        bench.put("asked 1", "asked 2", priority=Priority.INTERACTIVE)
        assert bench.stage.queued == 8
        assert bench.stage.queued_bytes == 80
        order = await bench.finish_all()
        assert order[1:] == [f"{kind} {number}" for kind in ("asked", "new", "sweep", "claim") for number in (1, 2)]
        assert bench.hashed == order

    async def test_all_workers_are_kept_busy_and_no_more(self, make_bench: MakeBench) -> None:
        bench = make_bench(3)
        bench.put(*"abcdefg")
        assert await bench.begun(3) == ["a", "b", "c"]
        assert {job.path for job in bench.stage.hashing} == {"a", "b", "c"}
        bench.pool.end("b")
        assert await bench.begun(4) == ["a", "b", "c", "d"]
        await bench.finish_all()
        assert sorted(bench.hashed) == list("abcdefg")
        assert (bench.stage.queued, len(bench.stage.hashing)) == (0, 0)

    async def test_a_job_that_is_put_again_is_hashed_once_with_its_new_priority(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("b", "a", priority=Priority.SWEEP)
        bench.jobs["a"].priority = Priority.INTERACTIVE
        bench.stage.put(bench.jobs["a"], print_of("a"))
        assert bench.stage.queued == 2
        assert await bench.finish_all() == ["running", "a", "b"]

    async def test_two_jobs_for_one_file_wait_side_by_side(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("b", "a", priority=Priority.SWEEP)
        row = bench.jobs["a"]
        bench.put("a", priority=Priority.INTERACTIVE)
        assert bench.stage.queued == 3
        assert bench.stage.withdraw(row)
        assert await bench.finish_all() == ["running", "a", "b"]

    async def test_it_is_told_when_little_is_left(self, bench: Bench) -> None:
        bench.put("a")
        await bench.begun(1)
        before = bench.drained
        bench.put("b", "c")
        assert bench.drained == before
        await bench.finish_all()
        await settled()
        assert bench.drained > before


class TestTakingBack:
    async def test_what_waits_can_be_taken_back(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("a", "b")
        assert bench.stage.withdraw(bench.jobs["a"])
        assert not bench.stage.withdraw(bench.jobs["a"])
        assert not bench.stage.withdraw(Job("unknown", Priority.NEW))
        assert await bench.finish_all() == ["running", "b"]

    async def test_what_runs_cannot_be_taken_back(self, bench: Bench) -> None:
        bench.put("a")
        await bench.begun(1)
        assert not bench.stage.withdraw(bench.jobs["a"])
        await bench.finish_all()
        assert bench.hashed == ["a"]

    async def test_what_was_taken_back_can_be_put_again(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("a", "b")
        bench.stage.withdraw(bench.jobs["a"])
        bench.put("a")
        assert await bench.finish_all() == ["running", "b", "a"]

    async def test_a_file_that_is_renamed_while_it_waits_is_hashed_under_its_new_name(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("old")
        bench.jobs["old"].path = "new"
        assert await bench.finish_all() == ["running", "new"]
        assert bench.hashed == ["running", "new"]

    async def test_a_file_that_was_renamed_before_its_reading_began_is_read_under_its_new_name(
        self, bench: Bench
    ) -> None:
        bench.put("old")
        await bench.begun(1)
        bench.jobs["old"].path = "new"
        bench.pool.end("old", FileVanished("there is no file at old"))
        assert await bench.begun(2) == ["old", "new"]
        await bench.finish_all()
        assert (bench.hashed, bench.failed) == (["new"], [])

    async def test_a_job_knows_where_it_is(self, bench: Bench) -> None:
        bench.put("a", "b")
        await bench.begun(1)
        assert [bench.jobs[name].stage for name in "ab"] == [Stage.HASHING, Stage.QUEUED]


class TestAPause:
    async def test_only_what_somebody_waits_for_is_begun(self, bench: Bench) -> None:
        bench.stage.paused = True
        bench.put("a", priority=Priority.NEW)
        await settled()
        assert bench.pool.begun == []
        bench.put("asked", priority=Priority.INTERACTIVE)
        assert await bench.begun(1) == ["asked"]
        bench.pool.end("asked")
        await settled()
        assert bench.pool.begun == ["asked"]
        bench.stage.paused = False
        bench.stage.dispatch()
        assert await bench.finish_all() == ["asked", "a"]


class TestBatches:
    @pytest.fixture
    def batches(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """The names of the files of each batch that is handed over."""
        handed_over: list[list[str]] = []
        submit = GatedHashing.submit

        def note(pool: GatedHashing, batch: HashBatch, deliver: Deliver) -> None:
            handed_over.append([asked.file.path for asked in batch.files])
            submit(pool, batch, deliver)

        monkeypatch.setattr(GatedHashing, "submit", note)
        return handed_over

    async def test_small_files_go_before_large_ones_that_are_no_more_urgent(self, bench: Bench) -> None:
        bench.put("running")
        await bench.begun(1)
        bench.put("large", size_bytes=10**9)
        bench.put("small", size_bytes=10**3)
        bench.put("asked", size_bytes=10**10, priority=Priority.INTERACTIVE)
        assert await bench.finish_all() == ["running", "asked", "small", "large"]

    async def test_small_files_are_handed_over_together_a_share_for_each_worker(
        self, make_bench: MakeBench, batches: list[list[str]]
    ) -> None:
        bench = make_bench(4)
        bench.put(*"abcdefg")
        await bench.begun(4)
        assert batches == [["a", "b"], ["c", "d"]]
        await bench.finish_all()
        assert sorted(bench.hashed) == list("abcdefg")

    async def test_a_large_file_goes_by_itself(self, make_bench: MakeBench, batches: list[list[str]]) -> None:
        bench = make_bench(2)
        bench.put("large", "other large", size_bytes=BATCH_BYTES)
        await bench.begun(2)
        assert batches == [["large"], ["other large"]]
        await bench.finish_all()

    async def test_files_of_two_disks_are_never_handed_over_together(
        self, make_bench: MakeBench, batches: list[list[str]]
    ) -> None:
        bench = make_bench(2)
        bench.put("a", "b", "c")
        bench.put("x", "y", "z", device=OTHER_DISK)
        await bench.finish_all()
        assert sorted(bench.hashed) == list("abcxyz")
        assert [batch for batch in batches if {*batch} & {*"abc"} and {*batch} & {*"xyz"}] == []


@pytest.mark.usefixtures("rotating_disks")
class TestRotatingDisks:
    async def test_a_rotating_disk_is_read_by_one_worker_at_a_time(self, make_bench: MakeBench) -> None:
        bench = make_bench(4)
        bench.put("a", "b", "c", device=DISK)
        bench.put("x", "y", device=OTHER_DISK)
        bench.put("s", "t", device=SSD)
        assert sorted(await bench.begun(4)) == ["a", "s", "t", "x"]
        bench.pool.end("a")
        await settled()
        assert sorted(bench.pool.running) == ["b", "s", "t", "x"]
        await bench.finish_all()
        assert sorted(bench.hashed) == sorted("abcxyst")

    async def test_what_is_small_or_asked_for_is_read_beside_large_files(self, make_bench: MakeBench) -> None:
        bench = make_bench(4)
        bench.put("large", "also large", device=DISK, size_bytes=10**10)
        assert await bench.begun(1) == ["large"]
        bench.put("asked", device=DISK, size_bytes=10**10, priority=Priority.INTERACTIVE)
        bench.put("small", device=DISK)
        assert await bench.begun(2) == ["large", "asked"]
        bench.pool.end("asked")
        assert await bench.begun(3) == ["large", "asked", "small"]
        bench.pool.end("large")
        await settled()
        assert list(bench.pool.running) == ["small"]
        assert await bench.finish_all() == ["large", "asked", "small", "also large"]

    async def test_a_free_worker_takes_less_urgent_work_of_another_disk(self, make_bench: MakeBench) -> None:
        bench = make_bench(2)
        bench.put("a", "b", device=DISK, priority=Priority.NEW)
        bench.put("x", device=OTHER_DISK, priority=Priority.CLAIM)
        assert await bench.begun(2) == ["a", "x"]
        await bench.finish_all()

    async def test_a_disk_is_free_again_after_a_failure(self, make_bench: MakeBench) -> None:
        bench = make_bench(2)
        bench.put("a", "b", device=DISK)
        await bench.begun(1)
        bench.pool.end("a", FileChanged("changed"))
        assert await bench.begun(2) == ["a", "b"]
        await bench.finish_all()

    async def test_within_a_disk_the_most_urgent_goes_first(self, bench: Bench) -> None:
        bench.put("running", device=DISK)
        await bench.begun(1)
        bench.put("sweep", device=DISK, priority=Priority.SWEEP)
        bench.put("asked", device=DISK, priority=Priority.INTERACTIVE)
        assert await bench.finish_all() == ["running", "asked", "sweep"]


class TestFailures:
    async def test_a_failure_is_handed_on_and_the_next_file_is_hashed(self, bench: Bench) -> None:
        bench.put("a", "b")
        await bench.begun(1)
        bench.pool.end("a", FileChanged("changed"))
        await bench.begun(2)
        await bench.finish_all()
        assert [(path, str(error)) for path, error in bench.failed] == [("a", "changed")]
        assert bench.hashed == ["b"]

    async def test_a_file_under_which_workers_die_is_given_up_after_some_deaths(self, bench: Bench) -> None:
        bench.put("a")
        for death in range(DEATHS_MAX):
            await bench.begun(death + 1)
            assert bench.failed == []
            bench.pool.end("a", WorkerDied("killed"))
        await wait_until_async(lambda: bench.failed)
        ((path, error),) = bench.failed
        assert (path, type(error)) == ("a", WorkerDied)
        assert str(DEATHS_MAX) in str(error)
        assert bench.pool.begun == DEATHS_MAX * ["a"]

    async def test_deaths_are_forgotten_after_a_success(self, bench: Bench) -> None:
        for round_ in range(3):
            bench.put("a")
            for death in range(DEATHS_MAX - 1):
                await bench.begun(round_ * DEATHS_MAX + death + 1)
                bench.pool.end("a", WorkerDied("killed"))
            await bench.begun((round_ + 1) * DEATHS_MAX)
            bench.pool.end("a")
            await settled()
        assert bench.failed == []
        assert bench.hashed == ["a", "a", "a"]


class TestWithoutWorkers:
    async def test_no_file_is_to_blame_and_all_are_hashed_when_workers_can_be_started(
        self, make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hashing, "FIRST_REST_SECONDS", 0.01)
        monkeypatch.setattr(hashing, "LONGEST_REST_SECONDS", 0.02)
        bench = make_bench(2)
        bench.put("a", "b", "c")
        for rounds in range(1, 2 * DEATHS_MAX):
            for path in (await bench.begun(2 * rounds))[-2:]:
                bench.pool.end(path, NoWorkers("no process can be started"))
        assert set(await bench.begun(2 * 2 * DEATHS_MAX)) == {"a", "b"}, "their turn is lost"
        await bench.finish_all()
        assert (sorted(bench.hashed), bench.failed) == (["a", "b", "c"], [])

    async def test_a_question_is_answered_at_once(self, bench: Bench) -> None:
        bench.put("a", priority=Priority.INTERACTIVE)
        await bench.begun(1)
        bench.pool.end("a", NoWorkers("no process can be started"))
        await wait_until_async(lambda: bench.refused == ["a"])
        assert bench.stage.queued == 0


class TestStopping:
    async def test_what_runs_is_called_off_and_nothing_is_begun_any_more(self, make_bench: MakeBench) -> None:
        bench = make_bench(2)
        bench.put("a", "b", "c")
        await bench.begun(2)
        await bench.stage.stop()
        assert [(path, type(error)) for path, error in bench.failed] == [("a", HashCancelled), ("b", HashCancelled)]
        bench.put("d")
        await settled()
        assert bench.pool.begun == ["a", "b"]

    async def test_a_worker_that_dies_during_a_stop_is_not_tried_again(self, bench: Bench) -> None:
        bench.put("a")
        await bench.begun(1)
        bench.stage.stopping = True
        bench.pool.end("a", WorkerDied("killed"))
        await wait_until_async(lambda: bench.failed)
        assert bench.pool.begun == ["a"]

    async def test_stopping_when_nothing_runs_is_fine(self, bench: Bench) -> None:
        await bench.stage.stop()
        await bench.stage.stop()


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_what_is_read_in_idle_times_gives_tensors_their_digest_whatever_it_costs(is_wanted: bool) -> None:
    class Asked(GatedHashing):
        def submit(self, batch: HashBatch, deliver: Deliver) -> None:
            asked.update({file.file.path: file.with_tensors for file in batch.files})
            super().submit(batch, deliver)

    asked: dict[str, bool] = {}
    pool = Asked(workers=2)
    stage = HashStage(pool, Roots(), lambda _: None, lambda: None, tensor_digests=is_wanted)
    for path, claim in (("/a", ""), ("/b", "f" * 64)):
        stage.put(Job(path, Priority.NEW, claim=claim), print_of(path))
    await wait_until_async(lambda: len(pool.running) == 2)
    assert asked == {"/a": False, "/b": is_wanted}
    await stage.stop()
