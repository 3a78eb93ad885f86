"""Park files that cannot be taken in for a reason that nobody foresaw, so that the others are."""

from modelkeep.base.log import get_logger
from modelkeep.base.persistence import unforeseen
from modelkeep.disk.files import statuses_of
from modelkeep.domain.detection import Found
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import PendingState
from modelkeep.watch.context import Context

GIVEN_UP_MS = 3_600_000
"""How long such a file rests."""

_log = get_logger("intake")


class Blame:
    """Parks files.

    Args:
        context: what is known, who is told, and how one looks.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(self, path: str, error: Exception) -> str:
        """Append to the journal what cannot be taken in; returns why."""
        reason = unforeseen(error)
        self._context.record([("hash.failed", {"path": path, "error": reason})])
        return reason

    async def give_up(self, path: str, error: Exception) -> None:
        """Park a file that cannot be taken in."""
        reason, context = self.record(path, error), self._context
        try:
            status = (await context.looks.found(statuses_of, [path])).get(path)
            if status is None:
                return
            ((row, _),) = await context.catalogue.detect([Found(path, status.size_bytes)], [], context.clock_ms())
            due_at = context.clock_ms() + GIVEN_UP_MS
            parked = Parked(row.id, path, PendingState.FAILED, reason, due_at, row.attempts + 1)
            await context.catalogue.park([parked])
        except Exception:  # whatever is wrong with it, it is not to hold up the others
            _log.exception("file.not_parked", path=path)
