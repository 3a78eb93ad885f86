"""What runs by the clock: the sweep of the queue, the rescans, and a look at the roots.

APScheduler's defaults lose runs (a misfire grace of one second) and its jobs stand still while the wall clock is set
back; so every job coalesces and never misfires, and a monotonic watch restarts what has not run for too long.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from modelkeep.base.log import get_logger

_log = get_logger("schedule")

OVERDUE_FACTOR = 3
"""A job that has not run for so many of its intervals is run by the watch."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that runs every so many seconds."""

    name: str
    interval_seconds: float
    run: Callable[[], Awaitable[None]]


class Schedule:
    """Runs jobs by the clock, each at most once at a time."""

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._scheduler = AsyncIOScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._finished = {job.name: time.monotonic() for job in jobs}
        self._running: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; each job runs for the first time when its interval is over."""
        for job in self._jobs:
            trigger = IntervalTrigger(seconds=job.interval_seconds)
            self._scheduler.add_job(self._run_on_time, trigger, args=[job], id=job.name, name=job.name)
        self._scheduler.start()
        self._watch = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End; a job that runs is not waited for."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def hung(self, names: Collection[str], seconds: float) -> str:
        """Return which of some jobs has not come to its end for so long after it was due; empty when none."""
        late = (
            job.name
            for job in self._jobs
            if job.name in names and self.seconds_since(job.name) > OVERDUE_FACTOR * job.interval_seconds + seconds
        )
        return next(late, "")

    def seconds_since(self, name: str) -> float:
        """Return how long ago a job finished last (or the schedule was made)."""
        return time.monotonic() - self._finished[name]

    async def _run_on_time(self, job: Job) -> None:
        with suppress(asyncio.CancelledError):  # the schedule ends: APScheduler would log that as a failure
            await self._run(job)

    async def _run(self, job: Job) -> None:
        if job.name in self._running:
            return
        self._running.add(job.name)
        try:
            await job.run()
        except Exception:  # a job that fails once must run again: APScheduler only logs, and so do we
            _log.exception("job.failed", job=job.name)
        finally:
            self._running.discard(job.name)
            self._finished[job.name] = time.monotonic()

    async def _keep_running(self) -> None:
        shortest = min(job.interval_seconds for job in self._jobs)
        while True:
            await asyncio.sleep(shortest)
            for job in self._jobs:
                if self.seconds_since(job.name) > OVERDUE_FACTOR * job.interval_seconds + 1:
                    _log.warning("job.overdue", job=job.name, seconds=round(self.seconds_since(job.name)))
                    await self._run(job)
