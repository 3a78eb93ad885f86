"""The queue: what waits to be hashed, has failed, or waits for the owner's choice."""

from fastapi import APIRouter

from modelkeep.api import schemas, shapes
from modelkeep.api.parameters import Limit, Offset, PendingId, TheBackend
from modelkeep.api.responses import Json
from modelkeep.domain.values import PendingState
from modelkeep.errors import NotFound

router = APIRouter(prefix="/api/pending", tags=["queue"])


@router.get("", response_model=schemas.QueueRows)
async def list_rows(
    backend: TheBackend, state: PendingState | None = None, limit: Limit = 0, offset: Offset = 0
) -> Json:
    """Rows of the queue."""
    rows = await backend.pending(state=state, limit=limit, offset=offset)
    return Json({"pending": [shapes.queue_row(row) for row in rows]})


@router.get("/{pending_id}", response_model=schemas.DetailedPending)
async def both_sides(backend: TheBackend, pending_id: PendingId) -> Json:
    """A row, and the model that has its content already."""
    found = await backend.pending_details(pending_id)
    if found is None:
        raise no_such_row(pending_id)
    return Json(shapes.pending_details(found))


@router.post("/retry")
async def retry(backend: TheBackend, asked: schemas.RetryRequest | None = None) -> Json:
    """Make rows due now; none named: all that failed or are missing."""
    return Json({"retried": await backend.retry(asked.ids if asked else None)})


@router.delete("/{pending_id}")
async def drop(backend: TheBackend, pending_id: PendingId) -> Json:
    """Forget a row and its picture; its file is not touched."""
    await backend.drop(pending_id)
    return Json({"status": "success"})


def no_such_row(pending_id: int) -> NotFound:
    """Return the error that says so."""
    return NotFound(f"There is no pending row {pending_id}.")
