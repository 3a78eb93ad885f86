"""Join the stages: settle → hash → migrate, fed by the intake and by the queue in the catalogue.

`pending_import` is the queue; here is only what of it is in hand. A stop drops what is in hand, a start takes it up
again from the catalogue.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from modelkeep.base.clock import now_ms
from modelkeep.base.persistence import (
    CATALOGUE,
    LONGEST_WAIT_SECONDS,
    PASSING,
    do_for_all,
    unforeseen,
)
from modelkeep.base.troubles import Troubles
from modelkeep.changes.ports import Records
from modelkeep.changes.protocol import Changes
from modelkeep.disk.files import age_seconds, fingerprints_of, look_at
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import OF_THE_FILE, explained, missing, why_unseen
from modelkeep.domain.detection import Moved
from modelkeep.domain.hashing import Digest, Hashing
from modelkeep.domain.migration import Outcome
from modelkeep.domain.naming import suggested_type
from modelkeep.domain.settling import Verdict
from modelkeep.domain.values import (
    Action,
    Fingerprint,
    Location,
    PendingImport,
    Priority,
    Strategy,
)
from modelkeep.errors import (
    CatalogueError,
    Conflict,
    FileChanged,
    FileVanished,
    HashCancelled,
    HashError,
    ModelkeepError,
    NoWorkers,
    RootAway,
    RootSilent,
)
from modelkeep.pipeline.claims import Claims, CopiesPictures, KeepsClaims
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.jobs import Job, Jobs, MigratedRow, Stage
from modelkeep.pipeline.migrate import Hashed, Migrated, MigratesRows, MigrateStage, RendersPictures
from modelkeep.pipeline.parking import Parking, ParksRows
from modelkeep.pipeline.refill import IN_HAND_LOW, IN_HAND_MAX, HoldsQueue, Refill
from modelkeep.pipeline.requests import HoldsRequestedRows, Requests
from modelkeep.pipeline.settle import REFUSALS, Refused, SettleStage, Taken

_log = logging.getLogger(__name__)

HASHING = "hashing"
"""The part that is reported when no file can be hashed."""

WAITING = (Stage.SETTLING, Stage.QUEUED, Stage.REQUESTED)
"""Stages in which a stop finds what nobody will go on with."""


class KeepsRows(MigratesRows, HoldsQueue, HoldsRequestedRows, ParksRows, KeepsClaims, Protocol):
    """What the runner needs of the catalogue."""

    async def lose_content(self, paths: Sequence[str]) -> list[Location]:
        """Note that what lies at paths is no longer what it was."""

    async def forget_unknown(self, pending_id: int) -> bool:
        """Delete a row if nothing is known but its path; tells whether it is gone."""

    async def offer(self, files: Mapping[str, int]) -> list[tuple[PendingImport, str]]:
        """Offer files to the rows whose file is missing."""


class RendersAndCopiesPictures(RendersPictures, CopiesPictures, Protocol):
    """What the stages need of the picture store."""


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How the pipeline works."""

    settle_seconds: float
    retry_base_seconds: float
    strategy: Strategy


class Pipeline:
    """The stages behind the intake.

    Args:
        options: how it works.
        catalogue: the queue, and what is known.
        pictures: renders and copies.
        journal: notes every step.
        changes: commits and publishes.
        hasher: reads files.
        looks: looks at paths of the roots.
        troubles: is told when the catalogue cannot be read or written.
        on_touched: has a file looked at again to which something happened while it was on its way.
        clock_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        options: PipelineOptions,
        catalogue: KeepsRows,
        pictures: RendersAndCopiesPictures,
        journal: Records,
        changes: Changes,
        hasher: Hashing,
        looks: DiskLooks,
        troubles: Troubles,
        on_touched: Callable[[str], None],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._looks = looks
        self._roots = roots = looks.roots
        self._troubles = troubles
        self.options = options
        self._catalogue = catalogue
        self._journal = journal
        self.jobs = Jobs(on_touched)
        self._claims_failed: dict[str, str] = {}
        self._claims = Claims(catalogue, pictures, journal.note_many, roots, clock_ms)
        self._parking = Parking(
            catalogue, journal.note_many, self.jobs.end, roots, clock_ms, options.retry_base_seconds
        )
        self._refill = Refill(
            catalogue,
            self,
            self._parking.put_off,
            clock_ms=clock_ms,
            troubles=troubles,
            looks=self._looks,
        )
        self.hashing = HashStage(hasher, roots, self._hashed, self._hash_failed, self._no_workers, self._refill.ask)
        self.migrating = MigrateStage(
            catalogue, pictures, changes, clock_ms, self._migrated, self._type_of, self._looks
        )
        self.settling = SettleStage(options.settle_seconds, time.monotonic, self._settled, self._refused, looks)
        self._requests = Requests(
            catalogue,
            self.jobs,
            self.settling,
            self.hashing,
            self.migrating,
            self._parking,
            journal.note_many,
            clock_ms,
            options.strategy,
            looks,
        )

    # Running

    async def run(self) -> None:
        """Run the stages until cancelled; the migration in hand is finished then."""
        async with asyncio.TaskGroup() as tasks:
            for stage in (self.settling.run(), self.migrating.run(), self._refill.run()):
                tasks.create_task(stage)

    async def stop_hashing(self) -> None:
        """Call off what is being hashed; nothing more is fetched, and those who wait are told."""
        self._refill.resting = True
        await self.hashing.stop()
        await self._requests.stop()
        for job in self.jobs.in_stage(*WAITING):
            self._end(job, HashCancelled("the daemon is stopping"))

    @property
    def in_hand(self) -> Mapping[int, Job]:
        """The rows that are on their way, by id."""
        return self.jobs.rows

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not len(self.jobs)

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

    def doubted(self, paths: Sequence[str]) -> None:
        """Have files read again when nothing else is to do: they were touched since they were."""
        self._refill.doubted(paths)

    # What the intake and the refill hand over

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        """Settle rows that were found by an event (priority `NEW`), by a scan or by the sweep."""
        for row, fingerprint in rows:
            job = self.jobs.rows.get(row.id)
            if job is None and len(self.jobs.rows) >= IN_HAND_MAX:
                continue  # it waits in the catalogue's queue
            if job is None:
                job = self.jobs.add(Job.of_row(row, priority, self.options.strategy))
            elif job in self.settling or self.hashing.withdraw(job):
                job.refresh(row)
                job.priority = min(job.priority, priority) if job.is_awaited else priority
            else:  # its file is looked at again when that is done
                job.touched = True
                continue
            age = None if priority is Priority.NEW else age_seconds(fingerprint)
            self.settling.put(job, closed=closed, age_seconds=age)

    def confirm(self, location: Location, fingerprint: Fingerprint) -> None:
        """Hash a file whose hash is a claim, or doubted; what is being read for that already is not read twice."""
        if any(job.claim for job in self.jobs.at(location.path)):
            return
        size_bytes = fingerprint.size_bytes
        job = self.jobs.add(Job(location.path, Priority.CLAIM, size_bytes=size_bytes, claim=location.sha256))
        self.hashing.put(job, fingerprint)

    def renamed(self, moved: Moved) -> None:
        """Follow the rename of a file as the catalogue did: the row that goes along is the one that it names."""
        moving = [job for job in self.jobs.at(moved.old) if not job.pending_id or job.pending_id == moved.pending_id]
        staying = [job for job in self.jobs.at(moved.old) if job not in moving]
        for job in self.jobs.at(moved.new):
            self._replaced(job, has_row=not moved.pending_id)
        for job in moving:
            self.jobs.rename(job, moved.new)
            self.settling.renamed(job)
        for job in staying:  # its row waits where it was; the file has gone to another one
            self.gone(job.path)

    def exchanged(self, moves: Sequence[Moved]) -> None:
        """Follow files that changed places, all at once: no place is taken from anybody."""
        for job, path in [(job, move.new) for move in moves for job in self.jobs.at(move.old)]:
            self.jobs.rename(job, path)
            self.settling.renamed(job)

    def gone(self, path: str) -> None:
        """Let go of a file that only waits; the reading or the migration of others finds out by itself."""
        for job in self.jobs.at(path):
            if self._withdraw(job):
                self.jobs.end(job, missing(path))

    def _replaced(self, job: Job, *, has_row: bool) -> None:
        """Deal with a job in the place of whose file another one is now.

        Args:
            job: of the path.
            has_row: whether the catalogue still has its row; if so, it is about the file that is there now.
        """
        job.touched = bool(job.pending_id)
        if not self._withdraw(job):
            return
        if job.pending_id and has_row:
            job.touched = False
            self.settling.put(job, closed=True)
        else:
            self.jobs.end(job, FileChanged("another file has taken its place"))

    def _withdraw(self, job: Job) -> bool:
        """Take a job out of the stage in which it only waits; tells whether it did."""
        return self.settling.withdraw(job) or self.hashing.withdraw(job)

    def _end(self, job: Job, error: ModelkeepError) -> None:
        """Have a job in hand no more, whichever stage it only waited in."""
        self._withdraw(job)
        self.jobs.end(job, error)

    # From stage to stage

    @asynccontextmanager
    async def _letting_go(self, jobs: Sequence[Job]) -> AsyncIterator[None]:
        """Let go of jobs when the catalogue fails: they are in its queue, and taken up again from there.

        An error that nobody foresaw is the matter of these files alone: the stage goes on with the others.
        """
        try:
            yield
        except PASSING as error:
            self._troubles.report(CATALOGUE, error)
            for job in jobs:
                self._end(job, error if isinstance(error, ModelkeepError) else CatalogueError(str(error)))
            asyncio.get_running_loop().call_later(LONGEST_WAIT_SECONDS, self._refill.ask)
        except Exception as error:
            _log.exception("a defect of modelkeep: %s", [job.path for job in jobs])
            for job in jobs:
                await self._park_unforeseen(job, error)
        else:
            self._troubles.clear(CATALOGUE)

    async def _park_unforeseen(self, job: Job, error: Exception) -> None:
        self._withdraw(job)
        reason = HashError(unforeseen(error))
        async with self._letting_go([]):
            await self._parking.park(job, reason)
        self.jobs.end(job, reason)

    async def _settled(self, taken: Taken) -> None:
        async with self._letting_go([job for job, _ in taken]):
            await do_for_all(self._send_on, taken, lambda item, error: self._park_unforeseen(item[0], error))

    async def _send_on(self, taken: Sequence[tuple[Job, Fingerprint]]) -> None:
        paths = {job: job.path for job, _ in taken}
        known = await self._catalogue.locations_at(list(paths.values()))
        here = [item for item in taken if item[0] in self.jobs and item[0].stage is Stage.SETTLING]
        self._journal.note_many(
            [("file.settled", {"path": job.path, "pending_id": job.pending_id}) for job, _ in here]
        )
        for job, fingerprint in here:
            place = known.get(paths[job])
            if place is not None and place.is_read and fingerprint.is_untouched_since(place.fingerprint):
                self.migrating.put(Hashed(job, place.sha256, fingerprint))
            else:
                self.hashing.put(job, fingerprint)

    async def _refused(self, refused: list[Refused]) -> None:
        for job, verdict, _ in refused:
            async with self._letting_go([job]):
                await self._turn_away(job, verdict)

    async def _turn_away(self, job: Job, verdict: Verdict | None) -> None:
        if verdict is None:
            await self._turn_away_unseen(job)
            return
        path = job.path
        if verdict is Verdict.NO_MODEL and await self._catalogue.forget_unknown(job.pending_id):
            self.jobs.end(job, HashError(REFUSALS[verdict]))
        else:
            await self._parking.park(job, HashError(REFUSALS[verdict]))
        await self._tell_replaced(path)

    async def _turn_away_unseen(self, job: Job) -> None:
        error = await self._why_unseen(job)
        if error is None and await self._looks.run(job.path, look_at, job.path) is not None:
            self.settling.put(job, closed=False)  # it was away for a moment
            return
        path = job.path
        await self._parking.park(job, error or HashError("it may not be read by the daemon's user: check its rights"))
        if error is None:
            await self._tell_replaced(path)

    async def _why_unseen(self, job: Job) -> HashError | None:
        """Return why a job's file is not seen where it is now; it may be renamed while one looks."""
        while True:
            path = job.path
            try:
                reason = await self._looks.run(path, why_unseen, path, self._roots)
            except RootSilent as silent:
                reason = silent
            if job.path == path:
                return reason

    async def _tell_replaced(self, path: str) -> None:
        """Note that a file which is no whole model, or cannot be read, is not the one either that was at its path."""
        status = (await self._looks.found(fingerprints_of, [path])).get(path)
        known = (await self._catalogue.locations_at([path])).get(path)
        if status is None or known is None or status.same_file_at_same_path(known.fingerprint):
            return  # gone, which its own event tells, or as it was
        cause = "it was replaced by a file that cannot be taken yet"
        for place in await self._catalogue.lose_content([path]):
            self._journal.note_many([("file.missing", {"path": place.path, "sha256": place.sha256, "cause": cause})])

    def _no_workers(self, job: Job, error: NoWorkers) -> None:
        """Tell whoever waits for a file that nothing can be hashed now; its row waits on, as it was."""
        self._troubles.report(HASHING, error)
        if job.is_question:
            self.jobs.end(job, error)
        else:
            self._fail_waiters(job, error)

    def _fail_waiters(self, job: Job, error: ModelkeepError) -> None:
        """Tell those who wait that it failed; the row goes on as if nobody had asked."""
        job.fail_waiters(error)
        job.strategy = self.options.strategy

    async def _hashed(self, job: Job, digest: Digest, seconds: float) -> None:
        self._troubles.clear(HASHING)
        async with self._letting_go([job]):
            try:
                digest = await self._as_of_now(job, digest)
            except FileChanged as error:
                await self._hash_failed(job, error)
                return
            job.answer_digest(digest)
            self._journal.note_many([("hash.finished", _facts(job, digest, seconds))])
            await self._take_digest(job, digest)

    async def _as_of_now(self, job: Job, digest: Digest) -> Digest:
        """Return a digest with the device and the times that the file has now: a new name gives it another ctime.

        Raises:
            FileChanged: something else happened to the file while it was read.
        """
        path, read = job.path, digest.fingerprint
        queued = job.fingerprint
        if digest.is_untouched and path == job.read_at and queued is not None and queued.inode == read.inode:
            return replace(digest, fingerprint=replace(read, device=queued.device))
        status = (await self._looks.found(fingerprints_of, [path])).get(path)
        if status is None or not status.same_file_at_same_path(read):
            return digest
        if status.is_untouched_since(read):
            return replace(digest, fingerprint=replace(read, device=status.device))
        if path == job.read_at or not status.is_surely_born_with(read):
            raise FileChanged(f"{os.path.basename(path)} was touched while it was read")
        return replace(digest, fingerprint=status)

    async def _take_digest(self, job: Job, digest: Digest) -> None:
        if job.pending_id:
            self.migrating.put(Hashed(job, digest.sha256, digest.fingerprint))
            return
        if job.claim:
            self._claims_failed.pop(job.path, None)
            row = await self._claims.judge(job, digest)
            if row is not None:
                self._migrate_refuted(row, digest)
        self.jobs.end(job)

    def _migrate_refuted(self, row: PendingImport, digest: Digest) -> None:
        """Send the row of a refuted claim on: its file has just been read."""
        job = self.jobs.rows.get(row.id)
        if job is not None and not self._withdraw(job):
            job.touched = True
            return
        if job is None:
            job = self.jobs.add(Job.of_row(row, Priority.CLAIM, self.options.strategy))
        job.refresh(row)
        self.migrating.put(Hashed(job, digest.sha256, digest.fingerprint))

    async def _hash_failed(self, job: Job, error: HashError) -> None:
        error = await self._explained(job.path, error)
        if isinstance(error, HashCancelled) or job.is_question:
            self.jobs.end(job, error)
        elif isinstance(error, FileChanged) and job.pending_id:
            self._fail_waiters(job, error)
            self.settling.put(job, closed=False)
        elif job.claim:
            self._tell_claim_failed(job, error)
            self.jobs.end(job, error)
        else:
            async with self._letting_go([job]):
                if isinstance(error, FileVanished):
                    await self._vanished(job, error)
                else:
                    path = job.path
                    await self._parking.park(job, error)
                    if not isinstance(error, RootAway):  # that says nothing about the file
                        await self._tell_replaced(path)

    def _tell_claim_failed(self, job: Job, error: HashError) -> None:
        """Note why a claim, or a doubt, stays one: it is tried again with the next sweep."""
        is_known = self._claims_failed.get(job.path) == str(error)  # that it failed again is no news
        if not isinstance(error, FileVanished):  # a file that is gone is noted by its events
            self._claims_failed[job.path] = str(error)
            if not is_known:
                fields = {"path": job.path, "sha256": job.claim, "error": str(error)}
                self._journal.note_many([("hash.failed", fields)])

    async def _explained(self, path: str, error: HashError) -> HashError:
        """Return what a failure to read a file means; no look for one that says nothing about its root."""
        if isinstance(error, OF_THE_FILE):
            return error
        try:
            return await self._looks.run(path, explained, path, error, self._roots)
        except RootSilent as silent:
            return silent

    async def _vanished(self, job: Job, error: HashError) -> None:
        """Park a row whose file is gone; it may be its root that is, and both may be back by now."""
        reason = await self._why_unseen(job)
        if reason is None:
            self._fail_waiters(job, error)
            self.settling.put(job, closed=False)
        else:
            await self._parking.park(job, reason)

    async def _migrated(self, done: list[Migrated]) -> None:
        for item in done:
            outcome, job = item.result.outcome, item.hashed.job
            async with self._letting_go([job]):
                if outcome in (Outcome.MOVED, Outcome.NEEDS_PICTURE):
                    await self._again(job)
                elif outcome is Outcome.CLAIMED:
                    await self._judge(item.hashed)
                elif outcome is Outcome.FAILED:
                    await self._parking.park(job, HashError(item.result.error), event="migration.failed")
                else:
                    if outcome is Outcome.GONE:  # another turn has migrated the row, perhaps an earlier content
                        job.touched = True
                    self._conclude(job, item)
        if len(self.jobs.rows) < IN_HAND_LOW:
            self._refill.ask()
        async with self._letting_go([]):
            await self._offer(done)

    def _conclude(self, job: Job, item: Migrated) -> None:
        """End the job of a row that has been decided about, and tell those who wait."""
        decision = item.result.decision
        if decision is None:
            self.jobs.end(job)
        elif decision.action is Action.CONFLICTED:
            sentence = "the same content is in the catalogue and the two differ: choose a strategy"
            self.jobs.end(job, Conflict(sentence))
        else:
            job.answer_row((item.result.order.sha256, decision.action))
            self.jobs.end(job)

    def _type_of(self, path: str) -> str:
        return suggested_type(path, self._roots.of(path))

    async def _judge(self, hashed: Hashed) -> None:
        """Have the claims on a row's file judged by its digest, and migrate the row with what that told of it."""
        assert hashed.fingerprint is not None  # noqa: S101 - only a file that was read is judged
        job, digest = hashed.job, Digest(hashed.sha256, hashed.fingerprint)
        row = await self._claims.judge(job, digest)
        if row is not None and row.id == job.pending_id:
            job.refresh(row)
        elif row is not None:
            self._migrate_refuted(row, digest)
        self.migrating.put(hashed)

    async def _offer(self, done: Sequence[Migrated]) -> None:
        """Offer files that nobody knew to the rows whose file is missing: perhaps they were renamed."""
        new = {
            item.result.order.path: item.result.order.fingerprint.size_bytes
            for item in done
            if item.hashed.job.knows_nothing and item.result.outcome is Outcome.DONE and item.result.order.fingerprint
        }
        offered = await self._catalogue.offer(new) if new else []
        self._journal.note_many(
            [
                (
                    "pending.offered",
                    {"path": row.path, "pending_id": row.id, "offered": path, "cause": "same name and size"},
                )
                for row, path in offered
            ]
        )

    async def _again(self, job: Job) -> None:
        """Look at a file anew: its row or itself changed while it was on its way."""
        row = await self._catalogue.pending(job.pending_id)
        if row is None:
            self.jobs.end(job)
            return
        job.refresh(row)
        if row.path != job.path:
            self.jobs.rename(job, row.path)
        self.settling.put(job, closed=False)

    # What is asked for

    async def digest(self, path: str) -> Digest:
        """Return the digest of a file, see `Requests.digest`."""
        return await self._requests.digest(path)

    async def migrate_now(self, pending_id: int, strategy: Strategy | None, path: str = "") -> MigratedRow:
        """Migrate a row before all else, see `Requests.migrate_now`."""
        return await self._requests.migrate_now(pending_id, strategy, path)

    async def migrate_in_turn(self, pending_id: int, strategy: Strategy) -> MigratedRow:
        """Migrate a row of a batch, see `Requests.migrate_in_turn`."""
        return await self._requests.migrate_in_turn(pending_id, strategy)

    async def drop(self, pending_id: int) -> PendingImport:
        """Delete a row of the queue, see `Requests.drop`."""
        return await self._requests.drop(pending_id)


def _facts(job: Job, digest: Digest, seconds: float) -> dict[str, object]:
    """Return what the journal says of a file that was read."""
    fields: dict[str, object] = {
        "path": job.path,
        "sha256": digest.sha256,
        "bytes": digest.fingerprint.size_bytes,
        "seconds": round(seconds, 6),
    }
    return fields | {"pending_id": job.pending_id} if job.pending_id else fields
