"""Is it up, and what does it do."""

from modelkeep.api import reports
from modelkeep.api.parameters import TheBackend, TheQuestion
from modelkeep.api.responses import Json, failure
from modelkeep.api.subject import subject

router = subject("operation")


@router.get("/healthz", response_model=reports.Ready)
async def healthz(backend: TheBackend) -> Json:
    """200 when ready, 503 while starting or stopping."""
    if backend.ready:
        return Json({"status": "ready"})
    return failure(503, "modelkeep is starting or stopping; ask again in a moment.", status="not ready")


@router.get("/api/address", response_model=reports.Address)
async def address(backend: TheBackend) -> Json:
    """Where the page and this interface are on TCP, for who asks on the unix socket."""
    return Json({"url": backend.url})


@router.get("/api/status", response_model=reports.Status)
async def status(question: TheQuestion) -> Json:
    """What `modelkeep status --json` prints."""
    return await question.answer()
