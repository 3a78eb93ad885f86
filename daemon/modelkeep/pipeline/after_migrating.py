"""From migrating on: what is decided is over, what changed meanwhile goes back, and new files are offered to rows."""

from collections.abc import Callable, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.hashing import Digest
from modelkeep.domain.migration import MigrationResult, Outcome
from modelkeep.domain.values import Action, Record
from modelkeep.errors import Conflict, HashError
from modelkeep.pipeline.claims import Claims
from modelkeep.pipeline.contents import Contents
from modelkeep.pipeline.failures import Failures
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.migrate import Migrated
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refusals import DIFFERS
from modelkeep.pipeline.stages import Stages

_AGAIN = (Outcome.MOVED, Outcome.NEEDS_IMAGE)


class AfterMigrating:
    """Concludes what was migrated.

    Args:
        catalogue: the queue.
        stages: hold the jobs.
        contents: is told of what was kept.
        claims: are held against what was read.
        parking: puts rows back into the queue.
        failures: lets go of jobs.
        record: appends records to the journal.
        ask: says that there is room for more.
        read_again: has files read again when nothing else is to do, whatever was tried at their paths before.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        stages: Stages,
        contents: Contents,
        claims: Claims,
        parking: Parking,
        failures: Failures,
        record: Callable[[Sequence[Record]], object],
        ask: Callable[[], object],
        read_again: Callable[[Sequence[str]], object],
    ) -> None:
        self._catalogue = catalogue
        self._stages = stages
        self._contents = contents
        self._claims = claims
        self._parking = parking
        self._failures = failures
        self._record = record
        self._ask = ask
        self._read_again = read_again

    async def take(self, done: Sequence[Migrated]) -> None:
        """Deal with what became of a batch."""
        by_outcome: dict[Outcome, list[Migrated]] = {}
        for item in done:
            by_outcome.setdefault(item.result.outcome, []).append(item)
        again = [item for outcome in _AGAIN for item in by_outcome.pop(outcome, [])]
        claimed, failed = by_outcome.pop(Outcome.CLAIMED, []), by_outcome.pop(Outcome.FAILED, [])
        for decided in by_outcome.values():
            for item in decided:
                self._conclude(item)
        await self._failures.guard(self._settle_again, again, _job_of)
        for item in claimed:
            await self._failures.guard(self._judge, [item], _job_of)
        await self._failures.guard(self._park, failed, _job_of)
        self._ask()
        self._tell_contents([item.result for item in done if item.result.outcome is not Outcome.FAILED])
        async with self._failures.letting_go([]):
            await self._offer(by_outcome.get(Outcome.DONE, []))

    def _tell_contents(self, results: Sequence[MigrationResult]) -> None:
        kept = [result.order.content for result in results if result.order.content is not None]
        self._contents.kept(kept, [result.order.sha256 for result in results if result.is_recognised])
        self._contents.migrated()
        lacking = {row.sha256 for row in kept if self._contents.lacks(row)}
        self._read_again([result.order.path for result in results if result.order.sha256 in lacking])

    def _conclude(self, item: Migrated) -> None:
        """End the job of a row that has been decided about, and tell those who wait."""
        job, result = item.hashed.job, item.result
        if result.outcome is Outcome.GONE:  # another turn has migrated the row, perhaps an earlier content
            job.touched = True
        if result.decision is None:
            self._stages.jobs.end(job)
        elif result.decision.action is Action.CONFLICTED:
            self._stages.jobs.end(job, Conflict(DIFFERS))
        else:
            job.answer_row((result.order.sha256, result.decision.action))
            self._stages.jobs.end(job)

    async def _settle_again(self, moved: Sequence[Migrated]) -> None:
        """Look at files anew: their row or they themselves changed while they were on their way."""
        rows = await self._catalogue.pendings([item.hashed.job.pending_id for item in moved])
        for item in moved:
            job = item.hashed.job
            row = rows.get(job.pending_id)
            if row is None:
                self._stages.jobs.end(job)
                continue
            job.refresh(row)
            if row.path != job.path:
                self._stages.jobs.rename(job, row.path)
            self._stages.settling.put(job, closed=False)

    async def _judge(self, claimed: Sequence[Migrated]) -> None:
        """Have the claims on rows' files judged by their digests, and migrate the rows with what that told."""
        for hashed in (item.hashed for item in claimed):
            assert hashed.fingerprint is not None  # noqa: S101 - only a file that was read is judged
            job, digest = hashed.job, Digest(hashed.sha256, hashed.fingerprint)
            row = await self._claims.judge(job, digest)
            if row is not None and row.id == job.pending_id:
                job.refresh(row)
            elif row is not None:
                self._stages.migrate_read(row, digest)
            self._stages.migrating.put(hashed)

    async def _park(self, failed: Sequence[Migrated]) -> None:
        reasons = [(item.hashed.job, HashError(item.result.error)) for item in failed]
        await self._parking.park(reasons, event="migration.failed")

    async def _offer(self, done: Sequence[Migrated]) -> None:
        """Offer files that nobody knew to the rows whose file is missing: perhaps they were renamed."""
        new = {
            item.result.order.path: item.result.order.fingerprint.size_bytes
            for item in done
            if item.hashed.job.knows_nothing and item.result.order.fingerprint
        }
        offered = await self._catalogue.offer(new) if new else []
        self._record([("pending.offered", _offer_facts(row.path, row.id, path)) for row, path in offered])


def _job_of(item: Migrated) -> Job:
    return item.hashed.job


def _offer_facts(path: str, pending_id: int, offered: str) -> dict[str, object]:
    return {"path": path, "pending_id": pending_id, "offered": offered, "cause": "same name and size"}
