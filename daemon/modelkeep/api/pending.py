"""The queue: what waits to be hashed, has failed, or waits for the owner's choice."""

from starlette.responses import Response

from modelkeep.api import queue_answers, reports, requests
from modelkeep.api.backend import Library
from modelkeep.api.parameters import Limit, Offset, PendingId, TheBackend, TheQuestion
from modelkeep.api.responses import Json
from modelkeep.api.shapes import Shape
from modelkeep.api.subject import subject
from modelkeep.domain.values import PendingState
from modelkeep.errors import NotFound

router = subject("queue", "/api/pending")


@router.get("", response_model=queue_answers.QueueRows)
async def list_rows(
    question: TheQuestion, state: PendingState | None = None, limit: Limit = 0, offset: Offset = 0
) -> Response:
    """Rows of the queue."""
    return await question.listed("pending", state=state, limit=limit, offset=offset)


@router.get("/{pending_id}", response_model=queue_answers.DetailedPending)
async def both_sides(question: TheQuestion, pending_id: PendingId) -> Json:
    """A row, and the model that has its content already."""
    return await question.answer(pending_id=pending_id)


@router.post("/retry", response_model=reports.Retried)
async def retry(backend: TheBackend, asked: requests.RetryRequest | None = None) -> Json:
    """Make rows due now; none named: all that failed or are missing."""
    return Json({"retried": await backend.retry(asked.ids if asked else None)})


@router.delete("/{pending_id}", response_model=reports.Done)
async def drop(backend: TheBackend, pending_id: PendingId) -> Json:
    """Forget a row and its image; its file is not touched."""
    await backend.drop(pending_id)
    return Json({"status": "success"})


async def conflict_of(library: Library, pending_id: int) -> Shape | None:
    """Return a row of the queue and the model that has its content already; None when there are no longer both."""
    try:
        sides: Shape = await library.ask("/api/pending/{pending_id}", pending_id=pending_id)
    except NotFound:
        return None
    return sides if sides["existing"] else None
