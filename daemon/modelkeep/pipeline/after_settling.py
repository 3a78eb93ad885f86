"""From settling on: complete files are hashed, those that are known already are migrated, the others are put back."""

from collections.abc import Callable, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.settling import Verdict
from modelkeep.domain.values import Record
from modelkeep.errors import HashError
from modelkeep.pipeline.failures import Failures
from modelkeep.pipeline.jobs import Job, Stage
from modelkeep.pipeline.migrate import Hashed
from modelkeep.pipeline.parking import Parking
from modelkeep.pipeline.refusals import FORBIDDEN, REFUSALS, Untaken
from modelkeep.pipeline.settle import Refused, Taken
from modelkeep.pipeline.stages import Stages
from modelkeep.pipeline.urgency import Urgency


class AfterSettling:
    """Sends on what has settled.

    Args:
        catalogue: the queue, and what is known of paths.
        stages: hold the jobs.
        urgency: says which files wait for others.
        parking: puts rows back into the queue.
        untaken: looks again at files that are not taken.
        failures: lets go of jobs.
        record: appends records to the journal.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        stages: Stages,
        urgency: Urgency,
        parking: Parking,
        untaken: Untaken,
        failures: Failures,
        record: Callable[[Sequence[Record]], object],
    ) -> None:
        self._catalogue = catalogue
        self._stages = stages
        self._urgency = urgency
        self._parking = parking
        self._untaken = untaken
        self._failures = failures
        self._record = record

    async def taken(self, taken: Taken) -> None:
        """Have complete files hashed."""
        await self._failures.guard(self._send_on, taken, lambda item: item[0])

    async def refused(self, refused: Sequence[Refused]) -> None:
        """Put back what is no model, not whole, or not there."""
        await self._failures.guard(self._turn_away, refused, lambda item: item[0])

    async def _send_on(self, taken: Sequence[tuple[Job, Fingerprint]]) -> None:
        paths = {job: job.path for job, _ in taken}
        known = await self._catalogue.locations_at(list(paths.values()))
        await self._urgency.judge(taken)
        here = [item for item in taken if item[0] in self._stages.jobs and item[0].stage is Stage.SETTLING]
        self._record([("file.settled", {"path": job.path, "pending_id": job.pending_id}) for job, _ in here])
        for job, fingerprint in here:
            location = known.get(paths[job])
            if location is not None and location.tells_of(fingerprint):
                self._stages.migrating.put(Hashed(job, location.sha256, fingerprint, is_believed=True))
            else:
                self._stages.hashing.put(job, fingerprint)

    async def _turn_away(self, refused: Sequence[Refused]) -> None:
        unseen = [job for job, verdict, _ in refused if verdict is None]
        reasons = await self._untaken.why_unseen(unseen)
        paths = {job: job.path for job in unseen if reasons[job] is None}
        readable = await self._untaken.readable(paths.values())
        for job in [job for job, path in paths.items() if path in readable]:
            self._stages.settling.put(job, closed=False)  # it was away for a moment
            del reasons[job]
        judged = {job: verdict for job, verdict, _ in refused if verdict is not None}
        replaced = [*(job.path for job in judged), *(job.path for job, reason in reasons.items() if reason is None)]
        failed = [(job, reason or HashError(FORBIDDEN)) for job, reason in reasons.items()]
        failed += [(job, HashError(REFUSALS[verdict])) for job, verdict in (await self._forget(judged)).items()]
        await self._parking.park(failed)
        await self._untaken.record_replaced(replaced)

    async def _forget(self, judged: dict[Job, Verdict]) -> dict[Job, Verdict]:
        """Delete the rows of files that are no models and of which nothing is known; returns the others."""
        strangers = {job.pending_id: job for job, verdict in judged.items() if verdict is Verdict.NO_MODEL}
        gone = await self._catalogue.forget_unknown(list(strangers)) if strangers else set()
        for pending_id in gone:
            self._stages.jobs.end(strangers[pending_id], HashError(REFUSALS[Verdict.NO_MODEL]))
        return {job: verdict for job, verdict in judged.items() if job.pending_id not in gone}
