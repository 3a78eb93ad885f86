"""The stages that hold jobs, and the ways from one to another that several of them share."""

from dataclasses import dataclass

from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import PendingImport, Priority, Strategy
from modelkeep.errors import ModelkeepError
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.jobs import Job, Jobs
from modelkeep.pipeline.migrate import Hashed, MigrateStage
from modelkeep.pipeline.settle import SettleStage


@dataclass(frozen=True, slots=True)
class Stages:
    """The table of what is in hand, and the stages; `strategy` is the configured one."""

    jobs: Jobs
    settling: SettleStage
    hashing: HashStage
    migrating: MigrateStage
    strategy: Strategy

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the stage in which it only waits; returns whether it did."""
        return self.settling.withdraw(job) or self.hashing.withdraw(job)

    def end(self, job: Job, error: ModelkeepError) -> None:
        """Have a job in hand no more, whichever stage it only waited in."""
        self.withdraw(job)
        self.jobs.end(job, error)

    def fail_waiters(self, job: Job, error: ModelkeepError) -> None:
        """Tell those who wait for a job that it failed; it goes on as if nobody had asked."""
        job.fail_waiters(error)
        job.strategy = self.strategy

    def settle_again(self, job: Job, error: ModelkeepError) -> None:
        """Have a row's file settle anew that was not as it had been; whoever waits is told."""
        self.fail_waiters(job, error)
        self.settling.put(job, closed=False)

    def migrate_read(self, row: PendingImport, digest: Digest) -> None:
        """Send a row on whose file has just been read."""
        job = self.jobs.rows.get(row.id)
        if job is not None and not self.withdraw(job):
            job.touched = True
            return
        if job is None:
            job = self.jobs.add(Job.of_row(row, Priority.CLAIM, self.strategy))
        job.refresh(row)
        self.migrating.put(Hashed(job, digest.sha256, digest.fingerprint))
