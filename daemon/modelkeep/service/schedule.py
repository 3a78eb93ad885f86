"""What runs by the clock: the sweep of the queue, the rescans, and a look at the roots."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from modelkeep.base.log import get_logger

_log = get_logger("schedule")

OVERDUE_FACTOR = 3
"""A job that has not come to its end for so many of its intervals comes no further."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that runs every so many seconds."""

    name: str
    interval_seconds: float
    run: Callable[[], Awaitable[None]]


class Schedule:
    """Runs jobs by a clock that nobody sets, each at most once at a time; what was due meanwhile is one run."""

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._finished = {job.name: time.monotonic() for job in jobs}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; each job runs for the first time when its interval is over."""
        self._tasks = [asyncio.create_task(self._run_by_the_clock(job), name=job.name) for job in self._jobs]

    def stop(self) -> None:
        """End; a job that runs is not waited for."""
        for task in self._tasks:
            task.cancel()

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

    async def _run_by_the_clock(self, job: Job) -> None:
        seconds_left = job.interval_seconds
        while True:
            await asyncio.sleep(seconds_left)
            began = time.monotonic()
            try:
                await job.run()
            except Exception:  # a job that fails once must run again
                _log.exception("job.failed", job=job.name)
            self._finished[job.name] = time.monotonic()
            seconds_left = max(0.0, job.interval_seconds - (self._finished[job.name] - began))
