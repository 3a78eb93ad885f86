"""Stage 1 from any legacy source, as a stream of JSON Lines: progress, and at last the report."""

from collections.abc import AsyncIterator

import structlog
from starlette.responses import StreamingResponse

from modelkeep.api.failures import UNEXPECTED, expected_fault, sentence_of
from modelkeep.api.parameters import Rights, TheBackend
from modelkeep.api.requests import ImportRequest
from modelkeep.api.responses import as_json
from modelkeep.api.subject import subject
from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import ModelkeepError

log = structlog.get_logger("modelkeep.api")

router = subject("migration", "/api/import")


@router.post("", response_class=StreamingResponse)
async def import_source(backend: TheBackend, rights: Rights, asked: ImportRequest) -> StreamingResponse:
    """Import; each line is `{"progress": …}`, the last `{"report": …}` or `{"error": "…"}`."""
    await rights.require(asked.source, asked.images)
    order = ImportOrder(asked.kind, asked.source, asked.images, tuple(asked.map), asked.dry_run, asked.again)
    values = aiter(backend.import_source(order))
    # Waiting for the first value gives a source that cannot be read a status of its own.
    nothing: dict[str, object] = {}
    first = await anext(values, nothing)
    return StreamingResponse(_lines(first, values), media_type="application/x-ndjson")


async def _lines(first: dict[str, object], values: AsyncIterator[dict[str, object]]) -> AsyncIterator[bytes]:
    try:
        if first:
            yield as_json(first) + b"\n"
        async for value in values:
            yield as_json(value) + b"\n"
    except ModelkeepError as error:
        yield as_json({"error": sentence_of(error)}) + b"\n"
    except Exception as error:
        # The status has gone out with the first line; only a last line can still say that it went wrong.
        yield as_json({"error": _told(error)}) + b"\n"


def _told(error: Exception) -> str:
    sentence = expected_fault(error)
    if sentence is None:
        log.error("import.failed", exc_info=error)
        return UNEXPECTED
    log.error("import.failed", error=sentence)
    return sentence
