"""Put rows back into the queue that could not be migrated: with the reason, and a delay that grows."""

from collections.abc import Callable, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.roots import Roots
from modelkeep.domain.parking import Parked
from modelkeep.domain.retry import retry_at
from modelkeep.domain.values import DueRow, PendingState, Record
from modelkeep.errors import FileVanished, HashError, RootAway
from modelkeep.pipeline.jobs import Job


class Parking:
    """Notes on rows why they failed and when they are due again.

    Args:
        catalogue: the queue.
        record: appends records to the journal.
        end: takes a job out of hand and tells whoever waits for it.
        roots: are looked at again when a file was put off because its root is away.
        clock_ms: milliseconds since 1970.
        retry_base_seconds: delay after the first failure.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        record: Callable[[Sequence[Record]], object],
        end: Callable[[Job, HashError], None],
        roots: Roots,
        clock_ms: Callable[[], int],
        retry_base_seconds: float,
    ) -> None:
        self._catalogue = catalogue
        self._record = record
        self._end = end
        self._roots = roots
        self._clock_ms = clock_ms
        self._retry_base_seconds = retry_base_seconds

    async def put_off(self, rows: Sequence[tuple[DueRow, HashError]]) -> None:
        """Park rows that cannot be taken up now, in one transaction."""
        now = self._clock_ms()
        await self._park(
            [self._parked(row.id, row.path, row.attempts, error, now) for row, error in rows], "hash.failed"
        )

    async def park(self, failed: Sequence[tuple[Job, HashError]], event: str = "hash.failed") -> None:
        """Park the rows of jobs in one transaction, which end with that; a job without a row only ends."""
        now = self._clock_ms()
        rows = [(job, error) for job, error in failed if job.pending_id]
        parked = [self._parked(job.pending_id, job.path, job.attempts, error, now) for job, error in rows]
        await self._park(parked, event)
        for job, error in failed:
            self._end(job, error)
            if isinstance(error, RootAway):
                self._roots.doubt(job.path)

    async def _park(self, parked: Sequence[Parked], event: str) -> None:
        # A row that stays as it was is no news: the journal is not filled with a missing file at every sweep.
        news = await self._catalogue.park(parked) if parked else []
        self._record([(event, _facts(item)) for item in news])

    def _parked(self, pending_id: int, path: str, attempts: int, error: HashError, now: int) -> Parked:
        state = PendingState.MISSING if isinstance(error, FileVanished) else PendingState.FAILED
        due_at = retry_at(now, attempts + 1, self._retry_base_seconds)
        # That its root is away is no failure of the file.
        attempts += 0 if isinstance(error, RootAway) else 1
        return Parked(pending_id, path, state, str(error), due_at, attempts)


def _facts(item: Parked) -> dict[str, object]:
    return {
        "path": item.path,
        "pending_id": item.pending_id,
        "error": item.last_error,
        "retry_at": item.due_at,
    }
