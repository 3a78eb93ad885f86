"""What runs by the clock: again and again, never twice at a time, and whatever happens to it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from tests.waiting import wait_until_async

from modelkeep.service.schedule import Job, Schedule

SOON = 0.02


class Counted:
    """A job that counts its runs, and whether two ran at a time."""

    def __init__(self, during: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.began = self.ended = self.at_once = self.most_at_once = 0
        self._during = during

    async def __call__(self) -> None:
        self.began += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self._during is not None:
                await self._during(self.began)
        finally:
            self.at_once -= 1
        self.ended += 1


@asynccontextmanager
async def running(*jobs: Job) -> AsyncIterator[Schedule]:
    schedule = Schedule(list(jobs))
    schedule.start()
    try:
        yield schedule
    finally:
        await schedule.stop()


async def test_a_job_runs_again_and_again() -> None:
    runs = Counted()
    async with running(Job("sweep", SOON, runs)):
        await wait_until_async(lambda: runs.ended >= 3)


async def test_each_job_runs_by_its_own_interval() -> None:
    often, never = Counted(), Counted()
    async with running(Job("sweep", SOON, often), Job("rescan", 900, never)):
        await wait_until_async(lambda: often.ended >= 5)
    assert never.began == 0


async def test_a_job_does_not_run_before_its_interval_is_over() -> None:
    runs = Counted()
    async with running(Job("sweep", 900, runs)):
        for _ in range(20):
            await asyncio.sleep(0)
    assert runs.began == 0


async def test_a_job_that_comes_to_no_end_is_known_by_its_name_until_it_does() -> None:
    gate = asyncio.Event()

    async def wait_at_first(run: int) -> None:
        if run == 1:
            await gate.wait()

    async with running(Job("slow", SOON, Counted(wait_at_first)), Job("rescan", 900, Counted())) as schedule:
        await wait_until_async(lambda: schedule.hung(["rescan", "slow"], 0) == "slow")
        assert schedule.hung(["slow"], 900) == schedule.hung(["rescan"], 0) == ""
        gate.set()
        await wait_until_async(lambda: schedule.hung(["slow"], 0) == "")


async def test_a_run_that_takes_long_is_not_joined_by_another_and_what_was_due_meanwhile_is_one_run() -> None:
    gate = asyncio.Event()

    async def wait_at_first(run: int) -> None:
        if run == 1:
            await gate.wait()

    ticks, slow = Counted(), Counted(wait_at_first)
    async with running(Job("slow", SOON, slow), Job("tick", SOON, ticks)):
        await wait_until_async(lambda: ticks.ended >= 10)
        assert slow.began == 1
        gate.set()
        await wait_until_async(lambda: slow.ended >= 2)
    assert slow.most_at_once == 1


async def test_a_job_that_fails_is_logged_and_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    async def fail_at_first(run: int) -> None:
        if run <= 2:
            raise ValueError("not today")

    runs = Counted(fail_at_first)
    with caplog.at_level(logging.ERROR):
        async with running(Job("sweep", SOON, runs)):
            await wait_until_async(lambda: runs.ended >= 1)
    assert runs.began >= 3
    assert "job.failed" in caplog.text
    assert "not today" in caplog.text


async def test_a_job_that_fails_does_not_stop_the_others() -> None:
    async def fail(_: int) -> None:
        raise ValueError("never")

    bad, good = Counted(fail), Counted()
    async with running(Job("bad", SOON, bad), Job("good", SOON, good)):
        await wait_until_async(lambda: bad.began >= 3 and good.ended >= 3)


async def test_the_time_since_the_last_run_is_known() -> None:
    runs = Counted()
    async with running(Job("sweep", SOON, runs), Job("rescan", 900, Counted())) as schedule:
        await wait_until_async(lambda: schedule.seconds_since("rescan") > 5 * SOON)
        await wait_until_async(lambda: runs.ended >= 1)
        await wait_until_async(lambda: schedule.seconds_since("sweep") < schedule.seconds_since("rescan"))


async def test_a_job_that_the_clock_has_left_behind_is_run_by_the_watch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the wall clock is set back by an hour: then APScheduler runs nothing until it has caught up."""
    made: list[AsyncIOScheduler] = []

    def make(**options: object) -> AsyncIOScheduler:
        made.append(AsyncIOScheduler(**options))
        return made[0]

    monkeypatch.setattr("modelkeep.service.schedule.AsyncIOScheduler", make)
    runs, ticks = Counted(), Counted()
    async with running(Job("sweep", SOON, runs), Job("tick", SOON, ticks)):
        await wait_until_async(lambda: runs.ended >= 1)
        made[0].pause_job("sweep")
        paused_at = ticks.ended
        await wait_until_async(lambda: ticks.ended >= paused_at + 5)
        before = runs.ended
        with caplog.at_level(logging.WARNING):
            await wait_until_async(lambda: runs.ended > before)
    assert "job.overdue" in caplog.text


async def test_after_the_stop_nothing_runs() -> None:
    runs, ticks = Counted(), Counted()
    async with running(Job("sweep", SOON, runs)):
        await wait_until_async(lambda: runs.ended >= 1)
    before = runs.began
    async with running(Job("tick", SOON, ticks)):
        await wait_until_async(lambda: ticks.ended >= 5)
    assert runs.began == before


async def test_a_stop_does_not_wait_for_a_run_that_hangs() -> None:
    async def hang(_: int) -> None:
        await asyncio.Event().wait()

    runs = Counted(hang)
    async with asyncio.timeout(60):
        async with running(Job("sweep", SOON, runs)):
            await wait_until_async(lambda: runs.began == 1)


async def test_stopping_before_the_start_and_twice_is_fine() -> None:
    schedule = Schedule([Job("sweep", SOON, Counted())])
    await schedule.stop()
    schedule.start()
    await schedule.stop()
    await schedule.stop()
