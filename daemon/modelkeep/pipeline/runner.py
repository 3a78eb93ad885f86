"""Join the stages: settle → hash → migrate, fed by the watching side and by the queue in the catalogue.

`pending_import` is the queue; here is only what of it is in hand. A stop drops what is in hand, a start takes it up
again from the catalogue.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelkeep.base.clock import now_ms
from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.ports import Records
from modelkeep.changes.protocol import Changes
from modelkeep.changes.successions import Successions
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.detection import Moved
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest, Hashing
from modelkeep.domain.naming import suggested_type
from modelkeep.domain.values import PendingImport, Priority, Strategy
from modelkeep.images.store import ImageStore
from modelkeep.pipeline.after_hashing import AfterHashing, Readings
from modelkeep.pipeline.after_migrating import AfterMigrating
from modelkeep.pipeline.after_settling import AfterSettling
from modelkeep.pipeline.arrivals import Arrivals
from modelkeep.pipeline.claims import Claims
from modelkeep.pipeline.contents import Contents
from modelkeep.pipeline.failed_claims import FailedClaims
from modelkeep.pipeline.failures import Failures
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.jobs import Job, Jobs, MigratedRow, Stage
from modelkeep.pipeline.manners import Manners
from modelkeep.pipeline.migrate import MigrateStage
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refill import Refill
from modelkeep.pipeline.refusals import Untaken, stopping
from modelkeep.pipeline.requests import Requests
from modelkeep.pipeline.settle import SettleStage
from modelkeep.pipeline.stages import Stages
from modelkeep.pipeline.urgency import Urgency

WAITING = (Stage.SETTLING, Stage.QUEUED, Stage.REQUESTED)
AT_WORK = (Stage.HASHING, Stage.JUDGING, Stage.MIGRATING)
"""Stages in which a stop finds what nobody will go on with."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How the pipeline works."""

    settle_seconds: float
    retry_base_seconds: float
    strategy: Strategy
    tensor_digests: bool = True


class Pipeline:
    """The stages behind the watching side.

    Args:
        options: how it works.
        catalogue: the queue, and what is known.
        images: renders and copies.
        journal: notes every step.
        changes: commits and publishes.
        hasher: reads files.
        looks: looks at paths of the roots.
        troubles: holds a report when the catalogue cannot be read or written.
        on_touched: has a file looked at again to which something happened while it was on its way.
        clock_ms: milliseconds since 1970.
        manners: tells when background hashing steps back; None: never.
        successions: is told of contents whose tensors were known.
        on_read: is told of contents of which something was read.
        on_absent: has a path looked at where a file should be, and was not seen.
    """

    def __init__(
        self,
        options: PipelineOptions,
        catalogue: Catalogue,
        images: ImageStore,
        journal: Records,
        changes: Changes,
        hasher: Hashing,
        looks: DiskLooks,
        troubles: Troubles,
        on_touched: Callable[[str], None],
        clock_ms: Callable[[], int] = now_ms,
        manners: Manners | None = None,
        successions: Successions | None = None,
        on_read: Callable[[Sequence[str]], object] = lambda _: None,
        on_absent: Callable[[str], None] = lambda _: None,
    ) -> None:
        roots, record = looks.roots, journal.append_many
        room = asyncio.Event()
        self._readings = readings = Readings()
        self.jobs = Jobs(on_touched, room.set)
        self.settling = SettleStage(options.settle_seconds, time.monotonic, looks)
        self.hashing = HashStage(
            hasher, roots, readings.put, room.set, manners, tensor_digests=options.tensor_digests
        )
        self.migrating = MigrateStage(
            catalogue, images, changes, clock_ms, lambda path: suggested_type(path, roots.of(path)), looks
        )
        self._stages = stages = Stages(self.jobs, self.settling, self.hashing, self.migrating, options.strategy)
        claims = Claims(catalogue, images, record, roots, clock_ms)
        parking = Parking(catalogue, record, self.jobs.end, roots, clock_ms, options.retry_base_seconds)
        failures = Failures(stages, parking, troubles, room.set)
        untaken = Untaken(catalogue, looks, record)
        contents = Contents(catalogue, wants_tensors=options.tensor_digests, successions=successions, on_read=on_read)
        self._arrivals = Arrivals(stages)
        failed_claims = FailedClaims()
        self._refill = Refill(
            catalogue, self._arrivals, parking, clock_ms, troubles, looks, contents, room, on_absent, failed_claims
        )
        self._requests = Requests(catalogue, stages, parking, record, clock_ms, looks)
        self._urgency = Urgency(catalogue, self.jobs, self.hashing)
        self._after_settling = AfterSettling(catalogue, stages, self._urgency, parking, untaken, failures, record)
        self._after_hashing = AfterHashing(
            readings,
            stages,
            contents,
            claims,
            parking,
            untaken,
            failures,
            looks,
            troubles,
            record,
            room.set,
            failed_claims,
        )
        self._after_migrating = AfterMigrating(
            catalogue,
            stages,
            contents,
            claims,
            parking,
            failures,
            record,
            room.set,
            self._refill.doubted,
        )

    # Running

    async def run(self) -> None:
        """Run the stages until cancelled; the migration in hand is finished then."""
        async with asyncio.TaskGroup() as tasks:
            for stage in (
                self.settling.run(self._after_settling.taken, self._after_settling.refused),
                self._after_hashing.run(),
                self.migrating.run(self._after_migrating.take),
                self._refill.run(),
            ):
                tasks.create_task(stage)

    async def stop_hashing(self) -> None:
        """Call off what is being hashed; nothing more is fetched, and those who wait are told."""
        self._refill.resting = True
        await self.hashing.stop()
        await self._readings.emptied()
        await self._requests.stop()
        for job in self.jobs.in_stage(*WAITING):
            self._stages.end(job, stopping())

    @property
    def in_hand(self) -> Mapping[int, Job]:
        """The rows that are on their way, by id."""
        return self.jobs.rows

    @property
    def rows_at_work(self) -> int:
        """How many rows are being hashed or migrated, up to the moment in which their images are published."""
        return sum(1 for job in self.jobs.in_stage(*AT_WORK) if job.pending_id)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not len(self.jobs)

    @property
    def will_look_again(self) -> bool:
        """Whether something happened to a file of which it is just being noted what was read."""
        return any(job.touched for job in self.jobs.in_stage(Stage.JUDGING, Stage.MIGRATING))

    def pause(self) -> None:
        """Begin no more background hashing; questions are still answered."""
        self.hashing.paused = self._refill.resting = True

    def resume(self) -> None:
        """Undo `pause`."""
        self.hashing.paused = self._refill.resting = False
        self.hashing.dispatch()
        self._refill.ask()

    def sweep(self) -> None:
        """Take up what is due in the queue, and try again the claims that could not be looked at."""
        self._refill.sweep()

    def try_anew(self) -> None:
        """Take up what is due in the queue, and try again whatever could not be read."""
        self._refill.try_anew()

    async def order_by_claims(self) -> None:
        """Have files wait that another tool has told a hash of: an import brought some."""
        await self._urgency.judge_again()

    # What the watching side hands over, see `Arrivals`

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        """Settle rows that were found by an event (priority `NEW`) or by a scan."""
        self._arrivals.enqueue(rows, priority, closed=closed)

    def renamed(self, moved: Moved) -> None:
        """Follow the rename of a file in hand."""
        self._refill.doubted([moved.new])
        self._arrivals.renamed(moved)

    def exchanged(self, moves: Sequence[Moved]) -> None:
        """Follow files in hand that changed places."""
        self._refill.doubted([move.new for move in moves])
        self._arrivals.exchanged(moves)

    def gone(self, path: str) -> None:
        """Let go of a file in hand."""
        self._arrivals.gone(path)

    def looked_at(self, paths: Sequence[str]) -> None:
        """Have files that are at work looked at once more when that is done, and claims on them tried again."""
        self._refill.doubted(paths)
        self._arrivals.looked_at(paths)

    def doubted(self, paths: Sequence[str]) -> None:
        """Have those of these files read that are claimed or doubted, when nothing else is to do."""
        self._refill.doubted(paths)

    # What is asked for, see `Requests`

    async def digest(self, path: str) -> Digest:
        """Return the digest of a file."""
        return await self._requests.digest(path)

    async def migrate_now(self, pending_id: int, strategy: Strategy | None, path: str = "") -> MigratedRow:
        """Migrate a row before all else."""
        return await self._requests.migrate_now(pending_id, strategy, path)

    async def migrate_at(self, path: str) -> MigratedRow | None:
        """Migrate the row that waits for a path, if there is one."""
        return await self._requests.migrate_at(path)

    async def migrate_in_turn(self, pending_id: int, strategy: Strategy) -> MigratedRow:
        """Migrate a row of a batch."""
        return await self._requests.migrate_in_turn(pending_id, strategy)

    async def drop(self, pending_id: int) -> PendingImport:
        """Delete a row of the queue."""
        return await self._requests.drop(pending_id)
