"""What happens, as Server-Sent Events."""

from collections.abc import AsyncIterator
from typing import Annotated

import structlog
from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BeforeValidator, Field

from modelkeep.api.parameters import TheBackend
from modelkeep.api.requests import ROW_ID_MAX, none_from_empty
from modelkeep.api.responses import as_json
from modelkeep.api.subject import subject
from modelkeep.domain.notices import Notice
from modelkeep.errors import ModelkeepError

log = structlog.get_logger("modelkeep.api")

router = subject("operation", "/api/events")

RETRY_MS = 2000
"""What a browser waits before it comes back."""

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}

_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}

Seq = Annotated[int, Field(ge=0, le=ROW_ID_MAX)]
LastEventId = Annotated[Seq | None, BeforeValidator(none_from_empty), Header(description="resume after this record")]
After = Annotated[Seq | None, Query(description="the same, for who can set no header")]


@router.get("", response_class=StreamingResponse, responses={200: _STREAM})
async def events(backend: TheBackend, last_event_id: LastEventId = None, after: After = None) -> EventSourceResponse:
    """Every journal record as it is written (`id` is its `seq`), and as `hashing` the files that are being hashed."""
    notices = backend.notices(last_event_id if last_event_id is not None else after)
    return EventSourceResponse(_stream(notices), headers=HEADERS)


async def _stream(notices: AsyncIterator[Notice]) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RETRY_MS, comment="modelkeep")
    try:
        async for notice in notices:
            yield _spelled(notice)
    except ModelkeepError as error:  # the caller comes back, and resumes where it was
        log.warning("events.ended", error=str(error))


def _spelled(notice: Notice) -> bytes:
    if notice.record is not None:
        return format_sse_event(id=str(notice.seq), data_str=as_json(notice.record).decode())
    if notice.hashing is not None:
        return format_sse_event(event="hashing", data_str=as_json({"active": notice.hashing}).decode())
    return KEEPALIVE_COMMENT
