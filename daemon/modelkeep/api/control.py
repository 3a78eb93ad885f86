"""Looking through the roots on demand."""

from modelkeep.api import reports
from modelkeep.api.parameters import TheBackend
from modelkeep.api.responses import Json
from modelkeep.api.subject import subject

router = subject("operation", "/api/scan")


@router.get("", response_model=reports.Scanned)
async def scan_by_get(backend: TheBackend) -> Json:
    """The same as POST, for a front end that knows no other; refused to web pages of other sites."""
    return Json(await backend.scan())


@router.post("", response_model=reports.Scanned)
async def scan(backend: TheBackend) -> Json:
    """Look through all roots now: `{status, scanned, added, pending_ids, skipped}`."""
    return Json(await backend.scan())
