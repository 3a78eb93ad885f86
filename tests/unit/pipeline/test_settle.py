"""Files are held until they are complete: real files, a short quiet time, a real clock."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NOT_UTF8, HoldsOpen, let_go
from tests.libraries import safetensors
from tests.waiting import wait_until_async

from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.settling import Verdict
from modelkeep.domain.values import Priority
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.settle import MOST_LOOKS, Refused, SettleStage, Taken

LONG = 60.0
"""A quiet time that no test waits for."""

SHORT = 0.15

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"


@dataclass
class Bench:
    """A stage and what came out of it, with the time of each."""

    taken: dict[str, tuple[float, Fingerprint]] = field(default_factory=dict)
    refused: dict[str, Verdict | None] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    async def on_taken(self, taken: Taken) -> None:
        for job, fingerprint in taken:
            assert job.path not in self.taken, "taken twice"
            self.taken[job.path] = (time.monotonic(), fingerprint)
            self.jobs.append(job)

    async def on_refused(self, refused: list[Refused]) -> None:
        self.refused.update((job.path, verdict) for job, verdict, _ in refused)

    async def takes(self, path: Path) -> float:
        """Wait until a file is taken; returns when it was."""
        await wait_until_async(lambda: str(path) in self.taken, what=f"{path.name} to be taken")
        when, fingerprint = self.taken[str(path)]
        assert fingerprint == fingerprint_of(str(path))
        return when

    async def refuses(self, path: Path) -> Verdict | None:
        await wait_until_async(lambda: str(path) in self.refused, what=f"{path.name} to be refused")
        return self.refused[str(path)]


class HandClock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looks:
    """Counts the looks of a stage, each when the stage goes on with what it saw, in the same step of the loop."""

    def __init__(self) -> None:
        self.count = 0

    async def reach(self, count: int) -> None:
        """Wait until there were so many looks."""
        await wait_until_async(lambda: self.count >= count)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks()
    found = DiskLooks.found

    async def counted(self: DiskLooks, *args: Any) -> Any:
        seen = await found(self, *args)
        looks.count += 1
        return seen

    monkeypatch.setattr(DiskLooks, "found", counted)
    return looks


@asynccontextmanager
async def running(
    bench: Bench,
    settle_seconds: float,
    accepts_empty: Callable[[str], bool] = lambda _: False,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[SettleStage]:
    looks = DiskLooks(Roots(accepts_empty=accepts_empty))
    stage = SettleStage(settle_seconds, clock, looks)
    task = asyncio.create_task(stage.run(bench.on_taken, bench.on_refused))
    try:
        yield stage
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def job_of(path: Path) -> Job:
    return Job(str(path), Priority.NEW, pending_id=1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors("a"))
    return path


@pytest.fixture
def opaque(tmp_path: Path) -> Path:
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"x" * 1000)
    return path


class TestTaking:
    async def test_a_closed_file_that_is_proven_whole_is_taken_at_once(self, bench: Bench, whole: Path) -> None:
        async with running(bench, LONG) as stage:
            stage.put(job_of(whole), closed=True)
            await bench.takes(whole)
            assert len(stage) == 0

    async def test_a_file_that_proves_nothing_is_taken_after_its_quiet_time(self, bench: Bench, opaque: Path) -> None:
        async with running(bench, SHORT) as stage:
            began = time.monotonic()
            stage.put(job_of(opaque), closed=True)
            assert await bench.takes(opaque) - began >= SHORT

    async def test_a_file_that_a_scan_found_long_after_its_last_change_is_taken_at_once(
        self, bench: Bench, opaque: Path
    ) -> None:
        os.utime(opaque, (0, 0))
        async with running(bench, LONG) as stage:
            stage.put(job_of(opaque), closed=False, age_seconds=1e6)
            await bench.takes(opaque)

    async def test_an_event_starts_the_quiet_time_anew(self, bench: Bench, opaque: Path, looks: Looks) -> None:
        os.utime(opaque, (0, 0))
        clock = HandClock()
        async with running(bench, SHORT, clock=clock) as stage:
            job = job_of(opaque)
            stage.put(job, closed=True)
            await looks.reach(1)
            clock.now += SHORT * 0.9
            stage.put(job, closed=True)
            await looks.reach(2)
            clock.now += SHORT * 0.9
            await looks.reach(3)
            assert bench.taken == {}
            clock.now += SHORT * 0.2
            await bench.takes(opaque)

    async def test_a_file_that_grows_unnoticed_is_taken_when_it_is_done(
        self, bench: Bench, opaque: Path, looks: Looks
    ) -> None:
        os.utime(opaque, (0, 0))
        clock = HandClock()
        async with running(bench, SHORT, clock=clock) as stage:
            stage.put(job_of(opaque), closed=False)
            await looks.reach(1)
            for grown in (1, 2):
                os.truncate(opaque, 1_000 + grown)
                os.utime(opaque, (0, 0))
                clock.now += SHORT * 1.01
                await looks.reach(1 + grown)
                assert bench.taken == {}
            clock.now += SHORT * 1.01
            await bench.takes(opaque)

    @pytest.mark.parametrize("name", ["a.safetensors", NOT_UTF8, "a.ckpt"])
    async def test_a_file_that_another_process_writes_is_taken_when_it_is_closed(
        self, bench: Bench, tmp_path: Path, hold_open: HoldsOpen, looks: Looks, name: str
    ) -> None:
        path = tmp_path / name
        path.write_bytes(safetensors("a"))
        writer = hold_open(path, "ab")
        async with running(bench, 0.05) as stage:
            job = job_of(path)
            stage.put(job, closed=True)
            await looks.reach(4)
            assert bench.taken == {}
            assert job in stage
            let_go(writer)
            await bench.takes(path)

    async def test_a_file_with_a_control_file_beside_it_waits_until_that_is_gone(
        self, bench: Bench, whole: Path, looks: Looks
    ) -> None:
        control = whole.with_name(whole.name + ".aria2")
        control.touch()
        async with running(bench, 0.05) as stage:
            stage.put(job_of(whole), closed=True)
            await looks.reach(4)
            assert bench.taken == {}
            control.unlink()
            await bench.takes(whole)

    async def test_a_storm_of_events_does_not_multiply_the_looks(
        self, bench: Bench, opaque: Path, hold_open: HoldsOpen, looks: Looks
    ) -> None:
        hold_open(opaque, "ab")
        async with running(bench, 0.05) as stage:
            job = job_of(opaque)
            for _ in range(500):
                stage.put(job, closed=False)
            await looks.reach(2)
            began, before = time.monotonic(), looks.count
            await looks.reach(before + 5)
            assert looks.count - before <= 2 + (time.monotonic() - began) / 0.05

    async def test_more_files_than_are_looked_at_in_one_go_are_all_taken(self, bench: Bench, tmp_path: Path) -> None:
        paths = [tmp_path / f"{number}.ckpt" for number in range(2 * MOST_LOOKS + 50)]
        for path in paths:
            path.write_bytes(b"x")
        async with running(bench, SHORT) as stage:
            for path in paths:
                stage.put(job_of(path), closed=True)
            await wait_until_async(lambda: len(bench.taken) == len(paths))
        assert bench.refused == {}


class TestRefusing:
    async def test_a_file_that_is_gone(self, bench: Bench, tmp_path: Path) -> None:
        async with running(bench, LONG) as stage:
            stage.put(job_of(tmp_path / "nowhere.ckpt"), closed=True)
            assert await bench.refuses(tmp_path / "nowhere.ckpt") is None
            assert len(stage) == 0

    @pytest.mark.parametrize("content", [b"", POINTER])
    async def test_a_stub(self, bench: Bench, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.ckpt"
        path.write_bytes(content)
        async with running(bench, SHORT) as stage:
            stage.put(job_of(path), closed=True)
            assert await bench.refuses(path) is Verdict.NO_MODEL
        assert bench.taken == {}

    async def test_a_file_that_is_cut_off_and_taken_when_the_rest_has_come(self, bench: Bench, whole: Path) -> None:
        content = safetensors("a")
        os.truncate(whole, 2000)
        async with running(bench, SHORT) as stage:
            stage.put(job_of(whole), closed=True)
            assert await bench.refuses(whole) is Verdict.CUT_OFF
            with whole.open("ab") as file:
                file.write(content[2000:])
            stage.put(job_of(whole), closed=True)
            await bench.takes(whole)

    async def test_a_stand_in_may_be_empty(self, bench: Bench, tmp_path: Path) -> None:
        shadow, other = tmp_path / "shadow_a.ckpt", tmp_path / "a.ckpt"
        shadow.touch()
        other.touch()
        async with running(bench, SHORT, lambda path: "shadow_" in path) as stage:
            stage.put(job_of(shadow), closed=True)
            stage.put(job_of(other), closed=True)
            await bench.takes(shadow)
            assert await bench.refuses(other) is Verdict.NO_MODEL


class TestFollowing:
    async def test_a_file_that_is_renamed_is_taken_under_its_new_name(self, bench: Bench, opaque: Path) -> None:
        new = opaque.with_name("b.ckpt")
        async with running(bench, SHORT) as stage:
            job = job_of(opaque)
            stage.put(job, closed=True)
            os.rename(opaque, new)  # noqa: PTH104 - no coroutine waits for it
            job.path = str(new)
            stage.renamed(job)
            await bench.takes(new)
        assert bench.refused == {}
        assert bench.jobs == [job]

    async def test_a_file_that_is_renamed_to_its_final_name_and_whole_is_taken_at_once(
        self, bench: Bench, whole: Path
    ) -> None:
        old = whole.with_name("b.safetensors")
        async with running(bench, LONG) as stage:
            job = job_of(old)
            stage.put(job, closed=False)
            job.path = str(whole)
            stage.renamed(job)
            await bench.takes(whole)

    async def test_renaming_what_is_not_held_is_fine(self, bench: Bench, tmp_path: Path) -> None:
        async with running(bench, LONG) as stage:
            stage.renamed(job_of(tmp_path / "a"))
            assert len(stage) == 0

    async def test_a_file_that_is_taken_back_is_neither_taken_nor_refused(self, bench: Bench, opaque: Path) -> None:
        other = opaque.with_name("other.ckpt")
        other.write_bytes(b"x")
        async with running(bench, SHORT) as stage:
            job = job_of(opaque)
            stage.put(job, closed=True)
            assert stage.withdraw(job)
            assert not stage.withdraw(job)
            stage.put(job_of(other), closed=True)
            await bench.takes(other)
        assert str(opaque) not in {**bench.taken, **bench.refused}
