"""What comes into the stages: rows that were found or are due, claims to confirm, and what happens to their files."""

from collections.abc import Sequence

from modelkeep.disk.files import age_seconds, untouched_seconds
from modelkeep.disk.reach import missing
from modelkeep.domain.detection import Moved
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import DueRow, Location, PendingImport, Priority
from modelkeep.errors import FileChanged
from modelkeep.pipeline.jobs import Job, Stage
from modelkeep.pipeline.stages import Stages

IN_HAND_MAX = 2_000
"""Rows of the queue in memory at once; the rest waits in the catalogue."""
BEFORE_READING = (Stage.SETTLING, Stage.QUEUED)
CLOCKS_APART_SECONDS = 10.0
"""By how much the clock of a file server may be behind ours."""


class Arrivals:
    """Brings work in hand, and follows what happens to files that are.

    Args:
        stages: hold the jobs.
    """

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self.jobs = stages.jobs

    def enqueue(
        self, rows: Sequence[tuple[PendingImport | DueRow, Fingerprint]], priority: Priority, *, closed: bool
    ) -> None:
        """Settle rows that were found by an event (priority `NEW`), by a scan or by the sweep."""
        expected: list[tuple[str, Fingerprint]] = []
        for row, fingerprint in rows:
            is_new = row.id not in self.jobs.rows
            job = self._job_of(row, priority)
            if job is not None:
                self._stages.settling.put(job, closed=closed, age_seconds=_age_seconds(fingerprint, priority))
                # What has failed before may do so again; what is still being written is read when that has an end.
                if not job.attempts and (is_new or closed):
                    expected.append((job.path, fingerprint))
        self._stages.hashing.expect(expected)

    def _job_of(self, row: PendingImport | DueRow, priority: Priority) -> Job | None:
        """Return the job of a row, if it is to settle now."""
        job = self.jobs.rows.get(row.id)
        if job is None:
            if len(self.jobs.rows) >= IN_HAND_MAX:
                return None  # it waits in the catalogue's queue
            return self.jobs.add(Job.of_row(row, priority, self._stages.strategy))
        if job not in self._stages.settling and not self._stages.hashing.withdraw(job):
            job.touched = True  # its file is looked at again when that is done
            return None
        job.refresh(row)
        job.priority = min(job.priority, priority) if job.is_awaited else priority
        return job

    def confirm(self, location: Location, fingerprint: Fingerprint) -> None:
        """Hash a file whose hash is a claim, or doubted; what is being read for that already is not read twice."""
        if any(job.claim for job in self.jobs.at(location.path)):
            return
        size_bytes = fingerprint.size_bytes
        job = self.jobs.add(Job(location.path, Priority.CLAIM, size_bytes=size_bytes, claim=location.sha256))
        self._stages.hashing.put(job, fingerprint)

    def looked_at(self, paths: Sequence[str]) -> None:
        """Have files looked at once more when what goes on with them is done.

        What is seen of them now is held against what is known now, which that is about to change.
        """
        for job in (job for path in paths for job in self.jobs.at(path)):
            job.touched |= job.stage not in BEFORE_READING

    def renamed(self, moved: Moved) -> None:
        """Follow the rename of a file as the catalogue did: the row that goes along is the one that it names."""
        moving = [job for job in self.jobs.at(moved.old) if not job.pending_id or job.pending_id == moved.pending_id]
        staying = [job for job in self.jobs.at(moved.old) if job not in moving]
        for job in self.jobs.at(moved.new):
            self._replaced(job, has_row=not moved.pending_id)
        for job in moving:
            self._rename(job, moved.new)
        for job in staying:  # its row waits where it was; the file has gone to another one
            self.gone(job.path)

    def exchanged(self, moves: Sequence[Moved]) -> None:
        """Follow files that changed places, all at once: no place is taken from anybody."""
        for job, path in [(job, move.new) for move in moves for job in self.jobs.at(move.old)]:
            self._rename(job, path)

    def gone(self, path: str) -> None:
        """Let go of a file that only waits; the reading or the migration of others finds out by itself."""
        for job in self.jobs.at(path):
            if self._stages.withdraw(job):
                self.jobs.end(job, missing(path))

    def _rename(self, job: Job, path: str) -> None:
        self.jobs.rename(job, path)
        self._stages.settling.renamed(job)

    def _replaced(self, job: Job, *, has_row: bool) -> None:
        """Deal with a job in the place of whose file another one is now.

        Args:
            job: of the path.
            has_row: whether the catalogue still has its row; if so, it is about the file that is there now.
        """
        job.touched |= bool(job.pending_id)
        if not self._stages.withdraw(job):
            return
        if job.pending_id and has_row:
            job.touched = False
            self._stages.settling.put(job, closed=True)
        else:
            self.jobs.end(job, FileChanged("another file has taken its place"))


def _age_seconds(fingerprint: Fingerprint, priority: Priority) -> float | None:
    """Return for how long a file has lain still; None: its quiet time begins with the event that told of it."""
    if priority is not Priority.NEW:
        return age_seconds(fingerprint)
    # The event may be of a folder that was moved here with all that it holds: then nothing has happened to the file.
    untouched = untouched_seconds(fingerprint)
    return untouched if untouched is not None and untouched >= CLOCKS_APART_SECONDS else None
