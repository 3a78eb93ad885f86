"""What the daemon does again and again: sweeps, rescans, looks at the roots, and keeps house."""

import asyncio
from contextlib import suppress

from modelkeep.base.clock import JumpWatch
from modelkeep.changes.successions import Successions
from modelkeep.errors import CatalogueError
from modelkeep.pipeline.runner import Pipeline
from modelkeep.service.holdings import Holdings
from modelkeep.service.resting import Resting
from modelkeep.service.schedule import Job
from modelkeep.watch.roots import RootKeeper
from modelkeep.watch.sidecars import Sidecars

LOOK_AT_ROOTS_SECONDS = 5.0
IMAGE_WORKERS_IDLE_SECONDS = 60.0


class Upkeep:
    """What is done by the clock.

    Args:
        kept: catalogue, journal and images.
        pipeline: takes up what is due.
        keeper: looks at the roots.
        sidecars: looks for what other tools wrote.
        successions: follows weights to new headers.
        resting: does what was put off, and gives memory back.
    """

    def __init__(
        self,
        kept: Holdings,
        pipeline: Pipeline,
        keeper: RootKeeper,
        sidecars: Sidecars,
        successions: Successions,
        resting: Resting,
    ) -> None:
        self._kept = kept
        self._pipeline = pipeline
        self._keeper = keeper
        self._sidecars = sidecars
        self._successions = successions
        self._resting = resting
        self._clock = JumpWatch()
        self._looked_at_seq = 0

    def jobs(self, sweep_seconds: float, rescan_seconds: float) -> list[Job]:
        """Return what is done, and how often."""
        return [
            Job("sweep", sweep_seconds, self._sweep),
            Job("rescan", rescan_seconds, self._rescan),
            Job("roots", LOOK_AT_ROOTS_SECONDS, self._look_around),
            Job("house", IMAGE_WORKERS_IDLE_SECONDS, self._keep_house),
        ]

    async def _sweep(self) -> None:
        jump = self._clock.look()
        if jump is not None:
            # Set forward, it makes rows due early, and that is all. Set back, what was due has to be so by it too.
            back_ms = min(0, jump.shift_ms)
            rows = await self._kept.catalogue.shift_due(jump.before_ms + back_ms, back_ms) if back_ms else 0
            self._kept.journal.append("clock.jumped", shift_ms=jump.shift_ms, rows=rows)
        before = len(self._pipeline.in_hand)
        self._pipeline.sweep()
        await self._keeper.look_outside()
        # Counting all that there is would bring back each minute what was given back of memory.
        counts = await self._kept.catalogue.pending_counts()
        if before or counts["waiting"]:  # rows that wait for the owner are no news
            self._kept.journal.append("sweep.finished", in_hand=before, **counts)

    async def _rescan(self) -> None:
        await self._keeper.rescan_all("scheduled")
        self._sidecars.look_everywhere(self._keeper.watched)

    async def _look_around(self) -> None:
        await self._keeper.check()
        if self._kept.journal.seq != self._looked_at_seq:  # a file may be gone whose weights lie under another header
            self._looked_at_seq = self._kept.journal.seq
            self._successions.look()
        await self._resting.look()

    async def _keep_house(self) -> None:
        with suppress(CatalogueError):  # its troubles are told by whoever has something to write
            await self._kept.catalogue.prove_writer()
        await self._look_after_catalogue()
        await self._kept.changes.tend()
        self._successions.look()
        if self._pipeline.is_idle:
            await asyncio.to_thread(self._kept.image_pool.release)

    async def _look_after_catalogue(self) -> None:
        # A part of its own: reads go on, and what reads clears the troubles of the catalogue.
        sentence = await asyncio.to_thread(self._kept.catalogue.database.displaced)
        if sentence:
            self._kept.troubles.report("catalogue's file", sentence)
        else:
            self._kept.troubles.clear("catalogue's file")
