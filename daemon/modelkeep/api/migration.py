"""Migration as the front end of the earlier back end knows it, and its controller."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from modelkeep.api import queue_answers, reports, requests
from modelkeep.api.backend import Backend
from modelkeep.api.batch import import_rows
from modelkeep.api.parameters import Rights, TheBackend, TheQuestion
from modelkeep.api.pending import conflict_of
from modelkeep.api.responses import Json, failure
from modelkeep.api.subject import subject
from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import Conflict

LEGACY_KIND = "hikaze"
"""The importer that reads the legacy manager's database."""

router = subject("migration", "/api/migration")


@router.get("/pending_models", response_model=queue_answers.PendingModels)
async def pending_models(question: TheQuestion) -> Response:
    """Every row of the queue."""
    return await question.listed("models")


@router.get("/pending_model", response_model=queue_answers.FullPending)
async def pending_model(
    question: TheQuestion,
    id: Annotated[str, Query(description="number of a row of the queue")] = "",  # noqa: A002 - the contract's name
) -> Json:
    """One row of the queue."""
    number = int(id) if id.isascii() and id.isdigit() and len(id) <= len(str(requests.ROW_ID_MAX)) else 0
    if not 1 <= number <= requests.ROW_ID_MAX:
        return failure(400, "id in the query: it has to be the number of a pending row.")
    return await question.answer(pending_id=number)


@router.post(
    "/import_a_model", response_model=reports.Migrated, responses={409: {"model": queue_answers.ImportConflict}}
)
async def import_a_model(backend: TheBackend, asked: requests.ImportOneRequest) -> Json:
    """Hash and migrate one row of the queue."""
    try:
        sha256, action = await backend.resolve(asked.id, asked.conf_strategy, asked.path)
    except Conflict as conflict:
        return await _both_sides(backend, asked.id, conflict)
    return Json({"status": "success", "sha256": sha256, "action_taken": str(action)})


@router.post("/import_models", response_model=reports.MigratedMany, status_code=207)
async def import_models(backend: TheBackend, asked: requests.ImportManyRequest) -> Json:
    """Hash and migrate rows of the queue side by side; one that fails does not hold up the others."""
    return Json(await import_rows(backend, asked.id, asked.conflict_strategy), status_code=207)


@router.post("/migrate_legacy_db", response_model=reports.LegacyImported)
async def migrate_legacy_db(backend: TheBackend, rights: Rights, asked: requests.LegacyImportRequest) -> Json:
    """Run stage 1 on a database of the legacy manager, to its end."""
    await rights.require(asked.legacy_db_path, asked.legacy_images_dir or "")
    report: Mapping[str, object] = {}
    order = ImportOrder(LEGACY_KIND, asked.legacy_db_path, asked.legacy_images_dir or "", again=asked.again)
    async for value in backend.import_source(order):
        found = value.get("report")
        report = found if isinstance(found, Mapping) else report
    counts = {key: _number(report.get(key)) for key in _LEGACY_COUNTS}
    return Json({"status": "success" if report else "failed", "db_migration": counts})


@router.post("/start", response_model=reports.Controller)
async def start(backend: TheBackend) -> Json:
    """Begin, or go on after a pause."""
    await backend.resume()
    return await _controller(backend)


@router.post("/pause", response_model=reports.Controller)
async def pause(backend: TheBackend) -> Json:
    """Stop hashing until it is resumed, across restarts too."""
    await backend.pause()
    return await _controller(backend)


@router.post("/resume", response_model=reports.Controller)
async def resume(backend: TheBackend) -> Json:
    """Go on after a pause."""
    await backend.resume()
    return await _controller(backend)


@router.get("/status", response_model=reports.Controller)
async def status(question: TheQuestion) -> Json:
    """Whether it runs, and what is left."""
    return await question.answer()


_LEGACY_COUNTS = ("migrated", "pending", "errors", "images_processed", "image_errors")


async def _controller(backend: Backend) -> Json:
    return Json(await backend.library.ask("/api/migration/status"))


async def _both_sides(backend: Backend, pending_id: int, conflict: Conflict) -> Json:
    sides = await conflict_of(backend.library, pending_id)
    if sides is None:
        return failure(409, str(conflict))
    pending = {key: sides["pending"][key] for key in queue_answers.FullPending.model_fields}
    return failure(409, str(conflict), existing=sides["existing"]["model"], pending=pending)


def _number(value: object) -> int:
    """Return a count; a report that lists what it counts is counted here."""
    if isinstance(value, int):
        return value
    return len(value) if isinstance(value, list | tuple) else 0
