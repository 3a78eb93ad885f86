"""What travels through the stages."""

import asyncio
from dataclasses import dataclass, replace

from modelkeep.domain.values import Action, PendingImport, Priority, Strategy


@dataclass(frozen=True, slots=True)
class Work:
    """A file on its way: a row of the queue, a claim to confirm, or a question for a digest.

    `pending_id` is 0 for the latter two, `claim` the hash to confirm. `migration_asked` is answered when somebody
    waits for what becomes of the row.
    """

    path: str
    priority: Priority
    pending_id: int = 0
    size_bytes: int = 0
    attempts: int = 0
    knows_nothing: bool = False
    picture: str = ""
    claim: str = ""
    strategy: Strategy = Strategy.AUTO
    migration_asked: asyncio.Future[tuple[str, Action]] | None = None

    @classmethod
    def of_row(cls, row: PendingImport, priority: Priority, strategy: Strategy) -> "Work":
        """Return the work that a row of the queue asks for."""
        return cls(
            path=row.path,
            priority=priority,
            pending_id=row.id,
            size_bytes=row.size_bytes,
            attempts=row.attempts,
            knows_nothing=row.knows_nothing,
            picture=row.image,
            strategy=strategy,
        )

    def at(self, path: str) -> "Work":
        """Return the same work after its file was renamed."""
        return replace(self, path=path)

    def fail(self, error: Exception) -> None:
        """Tell whoever waits for the migration that it failed."""
        if self.migration_asked is not None and not self.migration_asked.done():
            self.migration_asked.set_exception(error)
