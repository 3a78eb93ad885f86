"""Orphans: what other tools know of models that are not here, or not under the name that they had."""

from starlette.responses import Response

from modelkeep.api import reports, requests, source_answers
from modelkeep.api.parameters import Limit, Offset, RecordId, TheBackend, TheQuestion
from modelkeep.api.responses import Json
from modelkeep.api.subject import subject

router = subject("orphans", "/api/orphans")


@router.get("", response_model=source_answers.Orphans)
async def list_orphans(question: TheQuestion, limit: Limit = 0, offset: Offset = 0) -> Response:
    """Source records without a model, the oldest first, and the models that each may belong to."""
    return await question.listed("orphans", limit=limit, offset=offset)


@router.get("/{record_id}", response_model=source_answers.DetailedOrphan)
async def one(question: TheQuestion, record_id: RecordId) -> Json:
    """A source record without a model, whole."""
    return await question.answer(record_id=record_id)


@router.post("/resolve", response_model=reports.Done)
async def resolve_all(backend: TheBackend, asked: requests.OrphansResolution) -> Json:
    """Give records to a model, or drop them when none is named: all of them, or, where one is no orphan, none."""
    await backend.resolve_orphans(asked.ids, asked.sha256)
    return Json({"status": "success"})


@router.post("/{record_id}/resolve", response_model=reports.Done)
async def resolve(backend: TheBackend, record_id: RecordId, asked: requests.OrphanResolution) -> Json:
    """Give a record to a model, or drop it when none is named."""
    await backend.resolve_orphans([record_id], asked.sha256)
    return Json({"status": "success"})
