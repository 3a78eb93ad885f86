"""Put rows back into the queue that could not be migrated: with the reason, and a delay that grows."""

from collections.abc import Callable, Sequence
from typing import Protocol

from modelkeep.domain.parking import Parked
from modelkeep.domain.retry import retry_at
from modelkeep.domain.values import PendingImport, PendingState, Priority, Strategy
from modelkeep.errors import FileVanished, HashError
from modelkeep.pipeline.intake import Record
from modelkeep.pipeline.work import Work


class ParksRows(Protocol):
    """What is needed of the catalogue."""

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        """Note on rows why they could not be migrated; returns those for which that is news."""


class Parking:
    """Notes on rows why they failed and when they are due again.

    Args:
        catalogue: the queue.
        note: appends records to the journal.
        let_go: takes a work out of hand and tells whoever waits for it.
        clock_ms: milliseconds since 1970.
        retry_base_seconds: delay after the first failure.
        strategy: the configured one.
    """

    def __init__(
        self,
        catalogue: ParksRows,
        note: Callable[[Sequence[Record]], object],
        let_go: Callable[[Work, HashError], None],
        clock_ms: Callable[[], int],
        retry_base_seconds: float,
        strategy: Strategy,
    ) -> None:
        self._catalogue = catalogue
        self._note = note
        self._let_go = let_go
        self._clock_ms = clock_ms
        self._retry_base_seconds = retry_base_seconds
        self._strategy = strategy

    async def put_off(self, rows: Sequence[tuple[PendingImport, HashError]]) -> None:
        """Park rows that cannot be taken up now, in one transaction."""
        failures = [(Work.of_row(row, Priority.SWEEP, self._strategy), error) for row, error in rows]
        await self._park_all(failures, "hash.failed")

    async def park(self, work: Work, error: HashError, event: str = "hash.failed") -> None:
        """Park a row."""
        await self._park_all([(work, error)], event)

    async def _park_all(self, failures: Sequence[tuple[Work, HashError]], event: str) -> None:
        now = self._clock_ms()
        parked = [self._parked(work, error, now) for work, error in failures]
        # A row that stays as it was is no news: the journal is not filled with a missing file at every sweep.
        news = await self._catalogue.park(parked)
        self._note([(event, _facts(item)) for item in news])
        for work, error in failures:
            self._let_go(work, error)

    def _parked(self, work: Work, error: HashError, now: int) -> Parked:
        state = PendingState.MISSING if isinstance(error, FileVanished) else PendingState.FAILED
        due_at = retry_at(now, work.attempts + 1, self._retry_base_seconds)
        return Parked(work.pending_id, work.path, state, str(error), due_at, work.attempts + 1)


def _facts(item: Parked) -> dict[str, object]:
    return {
        "path": item.path,
        "pending_id": item.pending_id,
        "error": item.last_error,
        "retry_at": item.due_at,
    }
