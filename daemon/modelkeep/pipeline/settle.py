"""Hold files until they are complete. The decision is `domain.settling`; here are the clock and the looks."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from modelkeep.disk.files import look_at_all
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain import settling
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.settling import Look, Verdict, Watched
from modelkeep.pipeline.jobs import Job, Stage

MOST_LOOKS = 500
"""Files looked at in one go; the others wait for the next."""

Taken = list[tuple[Job, Fingerprint]]
Refused = tuple[Job, Verdict | None, Look | None]
"""A file that will not be taken: the verdict, or None when nothing readable is there."""


class SettleStage:
    """Keeps the files that may still be written, and looks at each when its quiet time is over.

    Args:
        settle_seconds: quiet time.
        clock: monotonic seconds.
        looks: looks at paths of the roots.
    """

    def __init__(
        self,
        settle_seconds: float,
        clock: Callable[[], float],
        looks: DiskLooks | None = None,
    ) -> None:
        self.settle_seconds = settle_seconds
        self._looks = looks or DiskLooks()
        self._clock = clock
        self._held: dict[Job, Watched] = {}
        self._due: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, job: Job, *, closed: bool, age_seconds: float | None = None) -> None:
        """Hold a file, or note that something happened to one that is held.

        Args:
            job: the file.
            closed: nobody writes it any more, as far as its last event tells.
            age_seconds: time since its mtime for a file that a scan found; None for one that an event told of.
        """
        now = self._clock()
        job.stage = Stage.SETTLING
        self._held[job] = settling.first_sight(
            job.path, now, closed=closed, age_seconds=age_seconds, settle_seconds=self.settle_seconds
        )
        # A first look at once: a closed file whose format proves it whole need not wait.
        self._look_at(now, job)

    def __contains__(self, job: Job) -> bool:
        return job in self._held

    def withdraw(self, job: Job) -> bool:
        """Hold a file no longer; returns whether it was held."""
        return self._held.pop(job, None) is not None

    def renamed(self, job: Job) -> None:
        """Follow the rename of a file; one that is not held is none of ours."""
        watched = self._held.get(job)
        if watched is not None:
            self._held[job] = replace(watched, path=job.path, closed=True)
            self._look_at(self._clock(), job)

    async def run(
        self,
        on_taken: Callable[[Taken], Awaitable[None]],
        on_refused: Callable[[list[Refused]], Awaitable[None]],
    ) -> None:
        """Look at files as they fall due, until cancelled.

        Args:
            on_taken: gets the complete ones.
            on_refused: gets those that are no models, are cut off, or are gone.
        """
        while True:
            await self._sleep()
            due = self._take_due()
            if due:
                await self._settle(due, on_taken, on_refused)
                del due  # what a stage still holds while it waits keeps the memory around it

    async def _settle(
        self,
        due: Mapping[Job, Watched],
        on_taken: Callable[[Taken], Awaitable[None]],
        on_refused: Callable[[list[Refused]], Awaitable[None]],
    ) -> None:
        """Look at files that are due."""
        seen = await self._looks.found(look_at_all, {watched.path for watched in due.values()})
        # What happened to a file while it was looked at has put it down for another look.
        looks = {job: seen.get(held.path) for job, held in due.items() if self._held.get(job) is held}
        taken, refused = self._decide(looks)
        if taken:
            await on_taken(taken)
        if refused:
            await on_refused(refused)

    async def _sleep(self) -> None:
        self._wake.clear()
        delay = self._due[0][0] - self._clock() if self._due else None
        if delay is None or delay > 0:
            try:
                await asyncio.wait_for(self._wake.wait(), delay)
            except TimeoutError:
                return

    def _look_at(self, when: float, job: Job) -> None:
        heapq.heappush(self._due, (when, next(self._order), job))
        self._wake.set()

    def _take_due(self) -> dict[Job, Watched]:
        """Return the files that are due."""
        now = self._clock()
        due: dict[Job, Watched] = {}
        while self._due and self._due[0][0] <= now and len(due) < MOST_LOOKS:
            job = heapq.heappop(self._due)[2]
            if job in self._held:
                due[job] = self._held[job]
        return due

    def _decide(self, looks: Mapping[Job, Look | None]) -> tuple[Taken, list[Refused]]:
        """Hold those that wait for another look; returns the others."""
        now = self._clock()
        taken: Taken = []
        refused: list[Refused] = []
        for job, look in looks.items():
            if look is None:
                refused.append((job, None, None))
                continue
            watched = settling.observe(self._held[job], look, now)
            verdict = self._verdict(watched, look, now)
            if verdict is Verdict.TAKE:
                taken.append((job, look.fingerprint))
            elif verdict is Verdict.WAIT:
                self._held[job] = watched
                self._look_at(settling.next_look_at(watched, look, now, self.settle_seconds), job)
            else:
                refused.append((job, verdict, look))
        for job in [*(job for job, _ in taken), *(job for job, _, _ in refused)]:
            del self._held[job]
        return taken, refused

    def _verdict(self, watched: Watched, look: Look, now: float) -> Verdict:
        verdict = settling.settle(watched, look, now, self.settle_seconds)
        if verdict is Verdict.NO_MODEL and self._looks.roots.accepts_empty(watched.path):
            return Verdict.TAKE
        return verdict
