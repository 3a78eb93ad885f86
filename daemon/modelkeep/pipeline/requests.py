"""What is asked for before all else: the digest of a file, the migration of a row, the end of a row.

Those who ask for one file, and the queue itself, share one reading: they wait for a job of the table, whoever made
it. A caller who goes away leaves the work to go on.
"""

import asyncio
from collections.abc import Callable, Sequence

from modelkeep.base.persistence import PASSING
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprint_of, look_at
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import unseen
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.settling import Verdict, judge_asked
from modelkeep.domain.values import PendingImport, Priority, Record, Strategy
from modelkeep.errors import Busy, FileChanged, HashCancelled, HashError, ModelkeepError, NotAModel, NotFound
from modelkeep.pipeline.jobs import Job, MigratedRow, Stage
from modelkeep.pipeline.migrate import Hashed
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refusals import REFUSALS, stopping
from modelkeep.pipeline.stages import Stages


class Requests:
    """Answers those who wait.

    Args:
        catalogue: the queue, and what is known.
        stages: hold the jobs.
        parking: puts rows back into the queue.
        record: appends records to the journal.
        clock_ms: milliseconds since 1970.
        looks: looks at paths of the roots.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        stages: Stages,
        parking: Parking,
        record: Callable[[Sequence[Record]], object],
        clock_ms: Callable[[], int],
        looks: DiskLooks,
    ) -> None:
        self._looks = looks
        self._catalogue = catalogue
        self._stages = stages
        self._jobs = stages.jobs
        self._hashing = stages.hashing
        self._parking = parking
        self._record = record
        self._clock_ms = clock_ms
        self._tasks: set[asyncio.Task[None]] = set()

    async def digest(self, path: str) -> Digest:
        """Return the digest of a file, at once when its fingerprint is known, else hashed before all else.

        Raises:
            HashError: it cannot be hashed now, with the reason.
            NoWorkers: no file can.
        """
        return (await self._digest(path))[0]

    async def _digest(self, path: str) -> tuple[Digest, bool]:
        """Return the digest of a file, and whether the catalogue says so, and nobody has read the file now."""
        fingerprint = await self._looks.run(path, fingerprint_of, path)
        if fingerprint is None:
            raise await self._looks.run(path, unseen, path)
        location = (await self._catalogue.locations_at([path])).get(path)
        if location is not None and location.tells_of(fingerprint):
            return Digest(location.sha256, fingerprint), True
        if self._hashing.stopping:
            raise stopping()
        job = self._being_read(path, fingerprint)
        if job is None:
            job = self._jobs.add(Job(path, Priority.INTERACTIVE, size_bytes=fingerprint.size_bytes))
        waiter = job.wait_for_digest()
        if job.stage is not Stage.HASHING:
            job.priority = Priority.INTERACTIVE
            self._hashing.put(job, fingerprint)
        return await waiter, False

    async def migrate_now(self, pending_id: int, strategy: Strategy | None, path: str = "") -> MigratedRow:
        """Migrate a row before all else.

        Args:
            pending_id: the row.
            strategy: what to do when its content is known; None for the configured one.
            path: where its file lies now, when that is not where the row says.

        Raises:
            NotFound: there is no such row.
            Busy: it is on its way already, and what is asked for cannot be done on that way.
            Conflict: the content is in the catalogue and the two differ.
            HashError: its file cannot be hashed now, with the reason.
            NoWorkers: no file can.
        """
        if path:  # before the row is moved there
            await self._require_model(path)
        row = await self._row(pending_id)
        wanted = strategy or self._stages.strategy
        job = self._jobs.rows.get(pending_id)
        if job is not None and not self._stages.withdraw(job):
            return await self._join(job, wanted, path)
        if job is None:
            job = self._jobs.add(Job.of_row(row, Priority.INTERACTIVE, wanted))
        job.refresh(row)
        job.priority, job.strategy, job.stage = Priority.INTERACTIVE, wanted, Stage.REQUESTED
        waiter = job.wait_for_row()
        if row.verified and strategy is not None and not path:
            # The decision is about the content that the row was read to be, whatever lies at its path now.
            self._hand_over_questions(job)
            self._stages.migrating.put(Hashed(job, row.sha256, None))
            return await waiter
        task = asyncio.create_task(self._carry_out(job, path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await waiter

    async def migrate_at(self, path: str) -> MigratedRow | None:
        """Migrate the row that waits for a path before all else; None when no row is of its file, or no more.

        Raises:
            Busy: it is on its way already, in another way than the configured one.
            Conflict: the content is in the catalogue and the two differ.
            HashError: the file cannot be hashed now, with the reason.
            NoWorkers: no file can.
        """
        row = await self._catalogue.pending_by_path(path)
        if row is None:
            return None
        try:
            migrated = await self.migrate_now(row.id, None)
        except NotFound:  # somebody else's answer came first
            return None
        return None if await self._was_written_over(path) else migrated

    async def _was_written_over(self, path: str) -> bool:
        """Return whether another file lies at a path than was read: perhaps before somebody asked for it."""
        location = (await self._catalogue.locations_at([path])).get(path)
        fingerprint = await self._looks.run(path, fingerprint_of, path)
        return location is not None and fingerprint is not None and not location.tells_of(fingerprint)

    async def migrate_in_turn(self, pending_id: int, strategy: Strategy) -> MigratedRow:
        """Migrate a row of a batch: what is being done with it in another way is waited for, and told.

        Raises:
            NotFound: there is no such row.
            Conflict: the content is in the catalogue and the two differ.
            HashError: its file cannot be hashed now, with the reason.
            NoWorkers: no file can.
        """
        while True:
            try:
                return await self.migrate_now(pending_id, strategy)
            except Busy:
                migrated = await self._outcome_of(pending_id)
            if migrated is not None and await self._catalogue.pending(pending_id) is None:
                return migrated
            if self._hashing.stopping:
                raise stopping()

    async def _outcome_of(self, pending_id: int) -> MigratedRow | None:
        """Wait for what becomes of a row that is on its way; None when it is still to be decided."""
        job = self._jobs.rows.get(pending_id)
        if job is None:
            return None
        try:
            return await job.wait_for_row()
        except ModelkeepError:
            return None

    async def drop(self, pending_id: int) -> PendingImport:
        """Delete a row of the queue; returns what it was.

        Raises:
            NotFound: there is no such row.
            Busy: it is being hashed or migrated at this moment.
        """
        row = await self._row(pending_id)
        job = self._jobs.rows.get(pending_id)
        if job is None:
            if not await self._catalogue.drop_pending(pending_id):
                raise _gone(pending_id)
            return row
        if not self._stages.withdraw(job):
            raise _busy(pending_id)
        self._hand_over_questions(job)
        job.stage = Stage.REQUESTED  # no sweep takes it up while it is being deleted
        try:
            await self._catalogue.drop_pending(pending_id)
        finally:
            self._jobs.end(job)
        return row

    async def stop(self) -> None:
        """Give up what is being prepared; those who wait are told."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _row(self, pending_id: int) -> PendingImport:
        row = await self._catalogue.pending(pending_id)
        if row is None:
            raise _gone(pending_id)
        return row

    def _being_read(self, path: str, fingerprint: Fingerprint) -> Job | None:
        """Return the job whose reading answers a question for a file, if there is one."""
        stages = {Stage.HASHING, Stage.QUEUED}
        for job in self._jobs.at(path):
            # During a pause a question is answered, but does not take the row of its file along.
            is_held_back = self._hashing.paused and job.stage is Stage.QUEUED and not job.is_question
            is_this_file = fingerprint.same_file_at_same_path(job.fingerprint)
            if job.stage in stages and is_this_file and not is_held_back:
                return job
        return None

    def _hand_over_questions(self, job: Job) -> None:
        """Have a file read for those who ask for its digest when its row needs that no more."""
        waiters, job.digest_waiters = [waiter for waiter in job.digest_waiters if not waiter.done()], []
        if waiters and job.fingerprint is not None:
            own = self._jobs.add(Job(job.path, Priority.INTERACTIVE, size_bytes=job.fingerprint.size_bytes))
            own.digest_waiters = waiters
            self._hashing.put(own, job.fingerprint)

    async def _join(self, job: Job, wanted: Strategy, path: str) -> MigratedRow:
        """Wait with a row that is on its way already; what the owner wants counts until it is being migrated."""
        is_free = job.stage is not Stage.MIGRATING and all(waiter.done() for waiter in job.row_waiters)
        if (path and path != job.path) or not (wanted is job.strategy or is_free):
            raise _busy(job.pending_id)
        job.strategy = wanted
        return await job.wait_for_row()

    async def _carry_out(self, job: Job, path: str) -> None:
        """Hash a row's file and hand it to the migrations."""
        error: ModelkeepError = stopping()
        try:
            if path and path != job.path:
                await self._relocate(job, path)
            await self._require_model(job.path)
            digest, is_believed = await self._digest(job.path)
            job.answer_digest(digest)
            self._stages.migrating.put(Hashed(job, digest.sha256, digest.fingerprint, is_believed=is_believed))
        except FileChanged as changed:
            self._stages.settle_again(job, changed)
        except HashCancelled as cancelled:
            error = cancelled
        except HashError as failed:
            error = failed
            await self._parking.park([(job, failed)])
        except PASSING as failed:
            error = failed if isinstance(failed, ModelkeepError) else HashError(str(failed))
        except ModelkeepError as failed:
            error = failed
        finally:
            if job.stage is Stage.REQUESTED:
                self._jobs.end(job, error)

    async def _relocate(self, job: Job, path: str) -> None:
        """Take the owner's word for where the file of a row lies."""
        old = job.path
        job.refresh(await self._catalogue.relocate(job.pending_id, path, self._clock_ms()))
        self._jobs.rename(job, path)
        fields = {"path": path, "old_path": old, "pending_id": job.pending_id, "cause": "said by the owner"}
        self._record([("file.moved", fields)])

    async def _require_model(self, path: str) -> None:
        """Raise HashError for a file that is no model, or not yet: that somebody asks for it changes nothing."""
        look = await self._looks.run(path, look_at, path)
        verdict = judge_asked(look) if look is not None else Verdict.TAKE  # the reading tells what is wrong then
        if verdict is Verdict.NO_MODEL and self._looks.roots.accepts_empty(path):
            return
        if verdict is not Verdict.TAKE:
            raise (NotAModel if verdict is Verdict.NO_MODEL else HashError)(REFUSALS[verdict])


def _gone(pending_id: int) -> NotFound:
    return NotFound(f"there is no row {pending_id} in the queue")


def _busy(pending_id: int) -> Busy:
    return Busy(f"row {pending_id} is being hashed or migrated at this moment: try again when that is done")
