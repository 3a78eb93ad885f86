"""Files of which another tool has told a hash wait until all are read of which nobody has told anything."""

from collections.abc import Iterable

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Priority
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.jobs import Job, Jobs, Stage


class Urgency:
    """Puts files back that have a claimed hash which was made of the very bytes, as far as size and time tell.

    Nothing is believed without reading: it only comes later.

    Args:
        catalogue: has the claims.
        jobs: what is in hand.
        hashing: holds the files that wait to be read.
    """

    def __init__(self, catalogue: Catalogue, jobs: Jobs, hashing: HashStage) -> None:
        self._catalogue = catalogue
        self._jobs = jobs
        self._hashing = hashing

    async def judge(self, files: Iterable[tuple[Job, Fingerprint]]) -> list[Job]:
        """Give files their priority before they are queued for reading; returns those that wait for the others."""
        background = [(job, job.path, now) for job, now in files if _may_wait(job)]
        claims = await self._catalogue.claims_on_files([path for _, path, _ in background]) if background else {}
        later = [
            job
            for job, path, now in background
            if _may_wait(job) and any(claim.is_of(now.size_bytes, now.mtime_ns) for claim in claims.get(path, ()))
        ]
        for job in later:
            job.priority = Priority.CLAIM
        return later

    async def judge_again(self) -> None:
        """Look again at the files that wait to be read: an import has brought claims."""
        queued = [(job, job.fingerprint) for job in self._jobs.in_stage(Stage.QUEUED) if job.fingerprint is not None]
        for job in await self.judge(queued):
            if job.stage is Stage.QUEUED and job.fingerprint is not None:
                self._hashing.put(job, job.fingerprint)


def _may_wait(job: Job) -> bool:
    return bool(job.pending_id) and job.priority in (Priority.NEW, Priority.SWEEP)
