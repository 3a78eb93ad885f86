"""What is in hand: every file on its way through the stages, and everybody who waits for one.

This is the only table of it. A job comes in by `Jobs.add` and leaves by `Jobs.end`, which answers whoever still
waits; in between it is held by exactly one stage. Stages hold jobs, not paths: a rename changes the path of a job, in
one place.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import Action, DueRow, PendingImport, Priority, Strategy
from modelkeep.errors import ModelkeepError, NotFound

MigratedRow = tuple[str, Action]
"""The digest of a row's file, and what was done."""


class Stage(StrEnum):
    """Which part of the pipeline holds a job."""

    SETTLING = "settling"
    QUEUED = "queued"
    HASHING = "hashing"
    REQUESTED = "requested"
    """Its digest is asked for before all else; the reading may be another job's."""
    JUDGING = "judging"
    """It was read, and a claim or doubt is held against that."""
    MIGRATING = "migrating"


@dataclass(slots=True, eq=False)
class Job:
    """A file on its way: a row of the queue, a claim or a doubt to settle, or a question for a digest.

    `pending_id` is 0 for all but the first, `claim` the hash to confirm. `fingerprint` is what the file looked like
    when it was queued for hashing, `read_at` is where it lay when the reading began. `touched` says that something
    happened to the file of a row since it was settled, or to that of a claim while it was read.
    """

    path: str
    priority: Priority
    pending_id: int = 0
    size_bytes: int = 0
    attempts: int = 0
    knows_nothing: bool = False
    image: str = ""
    claim: str = ""
    strategy: Strategy = Strategy.AUTO
    stage: Stage = Stage.SETTLING
    fingerprint: Fingerprint | None = None
    read_at: str = ""
    touched: bool = False
    digest_waiters: list[asyncio.Future[Digest]] = field(default_factory=list)
    row_waiters: list[asyncio.Future[MigratedRow]] = field(default_factory=list)

    @classmethod
    def of_row(cls, row: PendingImport | DueRow, priority: Priority, strategy: Strategy) -> "Job":
        """Return the job that a row of the queue asks for."""
        job = cls(row.path, priority, pending_id=row.id, strategy=strategy)
        job.refresh(row)
        return job

    def refresh(self, row: PendingImport | DueRow) -> None:
        """Take over what the catalogue says of its row now; its path is the table's to change."""
        self.size_bytes, self.attempts = row.size_bytes, row.attempts
        self.knows_nothing, self.image = row.knows_nothing, row.image

    @property
    def is_question(self) -> bool:
        """Whether it is there for a digest only."""
        return not (self.pending_id or self.claim)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it."""
        return not (_all_done(self.digest_waiters) and _all_done(self.row_waiters))

    def wait_for_digest(self) -> asyncio.Future[Digest]:
        """Return what will be answered when the file is read."""
        waiter: asyncio.Future[Digest] = asyncio.get_running_loop().create_future()
        self.digest_waiters.append(waiter)
        return waiter

    def wait_for_row(self) -> asyncio.Future[MigratedRow]:
        """Return what will be answered when the row is migrated."""
        waiter: asyncio.Future[MigratedRow] = asyncio.get_running_loop().create_future()
        self.row_waiters.append(waiter)
        return waiter

    def answer_digest(self, digest: Digest) -> None:
        """Tell those who wait for the digest."""
        waiters, self.digest_waiters = self.digest_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(digest)

    def answer_row(self, migrated: MigratedRow) -> None:
        """Tell those who wait for the row."""
        waiters, self.row_waiters = self.row_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(migrated)

    def fail_waiters(self, error: ModelkeepError) -> None:
        """Tell everybody who waits why there is no answer."""
        waiters: list[asyncio.Future[Any]] = [*self.digest_waiters, *self.row_waiters]
        self.digest_waiters, self.row_waiters = [], []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)


def _all_done(waiters: Iterable[asyncio.Future[Any]]) -> bool:
    return all(waiter.done() for waiter in waiters)


class Jobs:
    """The table of what is in hand.

    Args:
        on_touched: has a file looked at again to which something happened while its job was on its way.
        on_empty: called when nothing is in hand any more.
    """

    def __init__(self, on_touched: Callable[[str], None], on_empty: Callable[[], object] = lambda: None) -> None:
        self._on_touched = on_touched
        self._on_empty = on_empty
        self._all: dict[Job, None] = {}
        self._by_row: dict[int, Job] = {}
        self._by_path: dict[str, dict[Job, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, job: Job) -> bool:
        return job in self._all

    @property
    def rows(self) -> Mapping[int, Job]:
        """The jobs of rows of the queue, by the row's id."""
        return self._by_row

    def at(self, path: str) -> list[Job]:
        """Return the jobs of a path, the longest there first."""
        return list(self._by_path.get(path, ()))

    def is_judged(self, path: str) -> bool:
        """Return whether a claim on the file at a path, or a doubt, is being judged: its row belongs to that."""
        return any(job.stage is Stage.JUDGING for job in self._by_path.get(path, ()))

    def in_stage(self, *stages: Stage) -> list[Job]:
        """Return the jobs that these stages hold."""
        return [job for job in self._all if job.stage in stages]

    def add(self, job: Job) -> Job:
        """Take a job in hand; returns it.

        Raises:
            ValueError: its row is in hand already.
        """
        if job.pending_id:
            if job.pending_id in self._by_row:
                raise ValueError(f"row {job.pending_id} is in hand already")
            self._by_row[job.pending_id] = job
        self._all[job] = None
        self._by_path.setdefault(job.path, {})[job] = None
        return job

    def rename(self, job: Job, path: str) -> None:
        """Give a job the path at which its file lies now."""
        self._leave_path(job)
        job.path = path
        self._by_path.setdefault(path, {})[job] = None

    def end(self, job: Job, error: ModelkeepError | None = None) -> None:
        """Have a job in hand no more.

        Args:
            job: that a stage has given up; one that has ended already stays so.
            error: what those are told who still wait for it.
        """
        if job not in self._all:
            return
        del self._all[job]
        self._leave_path(job)
        if job.pending_id:
            del self._by_row[job.pending_id]
        job.fail_waiters(error or NotFound("the row is no longer in the queue"))
        if job.touched:
            self._on_touched(job.path)
        if not self._all:
            self._on_empty()

    def _leave_path(self, job: Job) -> None:
        there = self._by_path[job.path]
        del there[job]
        if not there:
            del self._by_path[job.path]
