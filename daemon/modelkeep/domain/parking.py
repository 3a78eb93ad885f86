"""A row of the queue that could not be migrated: why, and when it is due again."""

from dataclasses import dataclass

from modelkeep.domain.values import PendingState


@dataclass(frozen=True, slots=True)
class Parked:
    """What is recorded on a row; `path` is its file's, and `pending_id` 0 when only a location is concerned."""

    pending_id: int
    path: str
    state: PendingState
    last_error: str
    due_at: int
    attempts: int
