"""What becomes of jobs when the catalogue fails, or when something happens that nobody foresaw."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from modelkeep.base.persistence import CATALOGUE, LONGEST_WAIT_SECONDS, PASSING, do_for_all, unforeseen
from modelkeep.base.troubles import Troubles
from modelkeep.errors import CatalogueError, HashError, ModelkeepError
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.stages import Stages

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Failures:
    """Lets go of what is in hand: it is in the catalogue's queue, and taken up again from there.

    Args:
        stages: hold the jobs.
        parking: puts rows back into the queue.
        troubles: holds a report when the catalogue cannot be read or written.
        ask: has the queue looked at again.
    """

    def __init__(self, stages: Stages, parking: Parking, troubles: Troubles, ask: Callable[[], object]) -> None:
        self._stages = stages
        self._parking = parking
        self._troubles = troubles
        self._ask = ask
        self._leaving: asyncio.TimerHandle | None = None

    async def guard(
        self, step: Callable[[Sequence[T]], Awaitable[object]], items: Sequence[T], job_of: Callable[[T], Job]
    ) -> None:
        """Do a step for the jobs of a batch; an error that nobody foresaw is the matter of those alone that raise it.

        Args:
            step: may be done twice for the same items, as long as it has not come to its end.
            items: what it is done for.
            job_of: returns the job of an item.
        """
        if items:
            async with self.letting_go([job_of(item) for item in items]):
                await do_for_all(step, items, lambda item, error: self._park_unforeseen(job_of(item), error))

    @asynccontextmanager
    async def letting_go(self, jobs: Sequence[Job]) -> AsyncIterator[None]:
        """Let go of jobs when the catalogue fails."""
        try:
            yield
        except PASSING as error:
            self._report(error)
            for job in jobs:
                self._stages.end(job, error if isinstance(error, ModelkeepError) else CatalogueError(str(error)))
        except Exception as error:
            _log.exception("a defect of modelkeep: %s", [job.path for job in jobs])
            for job in jobs:
                await self._park_unforeseen(job, error)
        else:
            self._troubles.clear(CATALOGUE, self)

    def _report(self, error: Exception) -> None:
        """Have the queue looked at again soon, and the trouble stay until that shows whether it is over."""
        loop = asyncio.get_running_loop()
        self._troubles.report(CATALOGUE, error, self)
        loop.call_later(LONGEST_WAIT_SECONDS, self._ask)
        if self._leaving is not None:
            self._leaving.cancel()
        # There may be nothing left to take up then, whose success would show it.
        self._leaving = loop.call_later(2 * LONGEST_WAIT_SECONDS, self._troubles.leave, CATALOGUE, self)

    async def _park_unforeseen(self, job: Job, error: Exception) -> None:
        self._stages.withdraw(job)
        reason = HashError(unforeseen(error))
        async with self.letting_go([]):
            await self._parking.park([(job, reason)])
        self._stages.jobs.end(job, reason)
