"""From hashing on: rows whose file was read are migrated, claims are judged, and what failed is put back."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from modelkeep.base.troubles import Troubles
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import OF_THE_FILE, explained
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import Record
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, NoWorkers, RootAway, RootSilent
from modelkeep.pipeline.claims import Claims
from modelkeep.pipeline.contents import Contents
from modelkeep.pipeline.failed_claims import FailedClaims
from modelkeep.pipeline.failures import Failures
from modelkeep.pipeline.hashing import Read
from modelkeep.pipeline.inbox import Inbox
from modelkeep.pipeline.jobs import Job, Stage
from modelkeep.pipeline.migrate import Hashed
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refusals import Untaken, touched
from modelkeep.pipeline.stages import Stages

HASHING = "hashing"
"""The part that is reported when no file can be hashed."""

BATCH_MAX = 512


class Readings(Inbox[Read]):
    """What the hashing has done and is not dealt with yet."""

    def __init__(self) -> None:
        super().__init__(BATCH_MAX)


class AfterHashing:
    """Sends on what was read.

    Args:
        readings: where that comes from.
        stages: hold the jobs.
        contents: keeps what else was read.
        claims: are held against what was read.
        parking: puts rows back into the queue.
        untaken: looks again at files that could not be read.
        failures: lets go of jobs.
        looks: looks at paths of the roots.
        troubles: holds a report when no file can be hashed.
        record: appends records to the journal.
        ask: says that there may be more to fetch.
        failed_claims: is told of claims and doubts whose file could not be read, or was.
    """

    def __init__(
        self,
        readings: Readings,
        stages: Stages,
        contents: Contents,
        claims: Claims,
        parking: Parking,
        untaken: Untaken,
        failures: Failures,
        looks: DiskLooks,
        troubles: Troubles,
        record: Callable[[Sequence[Record]], object],
        ask: Callable[[], object],
        failed_claims: FailedClaims,
    ) -> None:
        self._readings = readings
        self._stages = stages
        self._contents = contents
        self._claims = claims
        self._parking = parking
        self._untaken = untaken
        self._failures = failures
        self._looks = looks
        self._troubles = troubles
        self._record = record
        self._ask = ask
        self._failed_claims = failed_claims

    async def run(self) -> None:
        """Send on what was read, until cancelled."""
        while True:
            await self._readings.take(self._take)

    async def _take(self, batch: Sequence[Read]) -> None:
        read: list[Read] = []
        failed: list[Read] = []
        for item in batch:
            if isinstance(item.outcome, NoWorkers):
                self._put_off(item.job, item.outcome)
            else:
                (read if isinstance(item.outcome, Digest) else failed).append(item)
        if read:
            self._troubles.clear(HASHING)
        await self._failures.guard(self._take_read, read, _job_of)
        await self._failures.guard(self._take_failed, failed, _job_of)

    def _put_off(self, job: Job, error: NoWorkers) -> None:
        """Tell whoever waits for a file that nothing can be hashed now; its row waits on, as it was."""
        self._troubles.report(HASHING, error)
        if job.is_question:
            self._stages.jobs.end(job, error)
        else:
            self._stages.fail_waiters(job, error)

    # What was read

    async def _take_read(self, read: Sequence[Read]) -> None:
        now = await self._as_of_now(read)
        changed = [replace(item, outcome=digest) for item, digest in now if isinstance(digest, HashError)]
        told = [(item, digest) for item, digest in now if isinstance(digest, Digest)]
        for item in changed:  # what is told of that may be told of another name of the file alone
            item.job.touched |= bool(item.job.claim)
        await self._take_failed(changed)
        # What is read of a row's file is kept by its migration, so that nobody meets a model without.
        await self._contents.keep([digest for item, digest in told if item.job.claim])
        self._record([("hash.finished", _facts(item, digest)) for item, digest in told])
        for item, digest in told:
            job = item.job
            job.answer_digest(digest)
            if job.pending_id:
                self._stages.migrating.put(Hashed(job, digest.sha256, digest.fingerprint, digest.facts))
            elif job.claim:
                job.stage = Stage.JUDGING
            else:
                self._stages.jobs.end(job)
        for claim in [(item.job, digest) for item, digest in told if item.job.claim]:
            await self._failures.guard(self._judge, [claim], lambda claim: claim[0])

    async def _judge(self, claims: Sequence[tuple[Job, Digest]]) -> None:
        for job, digest in claims:
            self._failed_claims.forget([job.path])
            row = await self._claims.judge(job, digest)
            if row is not None:
                self._stages.migrate_read(row, digest)
            self._stages.jobs.end(job)
            self._ask()  # a row of the file that came meanwhile was left alone

    async def _as_of_now(self, read: Sequence[Read]) -> list[tuple[Read, Digest | HashError]]:
        """Return digests with the device and the times that the files have now: a new name changes the ctime."""
        known = [(item, _untouched(item)) for item in read]
        paths = {item.job: item.job.path for item, digest in known if digest is None}
        present = await self._looks.found(fingerprints_of, paths.values()) if paths else {}
        return [(item, digest or _seen(item, path := paths[item.job], present.get(path))) for item, digest in known]

    # What could not be read

    async def _take_failed(self, failed: Sequence[Read]) -> None:
        explained = await self._explained(failed)
        rows: dict[Job, HashError] = {}
        for item, error in explained.items():
            job = item.job
            if isinstance(error, HashCancelled) or job.is_question:
                self._stages.jobs.end(job, error)
            elif job.claim:
                self._record_claim_failed(job, error)
                self._stages.jobs.end(job, error)
            elif isinstance(error, FileChanged):
                self._stages.settle_again(job, error)
            else:
                rows[job] = error
        if rows:
            await self._put_back(rows)

    async def _put_back(self, rows: dict[Job, HashError]) -> None:
        """Park rows; those whose file is gone, for it may be their root that is, and both may be back by now."""
        vanished = [job for job, error in rows.items() if isinstance(error, FileVanished)]
        for job, reason in (await self._untaken.why_unseen(vanished)).items():
            if reason is None:
                self._stages.settle_again(job, rows.pop(job))
            else:
                rows[job] = reason
        # That its root is away says nothing about a file.
        said = [job for job, error in rows.items() if job not in vanished and not isinstance(error, RootAway)]
        paths = [job.path for job in said]
        await self._parking.park(list(rows.items()))
        await self._untaken.record_replaced(paths)

    async def _explained(self, failed: Sequence[Read]) -> dict[Read, HashError]:
        """Return what failures to read files mean; no look for one that says nothing about its root."""
        told: dict[Read, HashError] = {}
        for item in failed:
            error = item.outcome
            assert isinstance(error, HashError)  # noqa: S101 - sorted out by `_take`
            told[item] = error if isinstance(error, OF_THE_FILE) else await self._meaning(item.job.path, error)
        return told

    async def _meaning(self, path: str, error: HashError) -> HashError:
        try:
            return await self._looks.run(path, partial(explained, path, error, self._looks.roots))
        except RootSilent as silent:
            return silent

    def _record_claim_failed(self, job: Job, error: HashError) -> None:
        """Record why a claim, or a doubt, stays one: it is tried again with a later sweep."""
        if isinstance(error, FileVanished):  # that is recorded by its events
            return
        if self._failed_claims.note(job.path, str(error), is_of_file=not isinstance(error, RootAway)):
            fields = {"path": job.path, "sha256": job.claim, "error": str(error)}
            self._record([("hash.failed", fields)])


def _job_of(item: Read) -> Job:
    return item.job


def _untouched(item: Read) -> Digest | None:
    """Return a digest that needs no second look: nothing at all happened to the file while it was read."""
    job, digest = item.job, item.outcome
    assert isinstance(digest, Digest)  # noqa: S101 - sorted out by `_take`
    read, queued = digest.fingerprint, job.fingerprint
    if digest.is_untouched and job.path == job.read_at and queued is not None and queued.inode == read.inode:
        return digest if queued.device == read.device else _on_device(digest, queued.device)
    return None


def _seen(item: Read, path: str, status: Fingerprint | None) -> Digest | HashError:
    """Return a digest with what is seen of the file now, or that something else happened to it while it was read."""
    digest = item.outcome
    assert isinstance(digest, Digest)  # noqa: S101 - sorted out by `_take`
    read = digest.fingerprint
    if status is None or not status.same_file_at_same_path(read):
        return digest
    if status.is_untouched_since(read):
        return _on_device(digest, status.device)
    if path == item.job.read_at or item.job.touched or not status.is_surely_born_with(read):
        return touched(path)
    return replace(digest, fingerprint=status)


def _on_device(digest: Digest, device: int) -> Digest:
    """Return a digest with the number by which this process knows the disk."""
    return replace(digest, fingerprint=digest.fingerprint._replace(device=device))


def _facts(item: Read, digest: Digest) -> dict[str, object]:
    """Return what the journal says of a file that was read."""
    fields: dict[str, object] = {
        "path": item.job.path,
        "sha256": digest.sha256,
        "bytes": digest.fingerprint.size_bytes,
        "seconds": round(item.seconds, 6),
    }
    return fields | {"pending_id": item.job.pending_id} if item.job.pending_id else fields
