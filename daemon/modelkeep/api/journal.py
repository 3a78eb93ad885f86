"""The journal, read over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from modelkeep.api import reports
from modelkeep.api.parameters import Offset, TheQuestion, exact_text
from modelkeep.api.responses import Json

router = APIRouter(prefix="/api/journal", tags=["operation"])

_RECORDS_MAX = 10_000


@router.get("", response_model=reports.Records)
async def records(
    question: TheQuestion,
    request: Request,
    model: Annotated[str, Query(description="only what happened to this model: a name, hash or path")] = "",  # noqa: ARG001
    event: Annotated[str, Query(description="only events of this name; * stands for any text")] = "",
    since: Annotated[int, Query(ge=0, le=2**53, description="only from this time on, in ms since 1970")] = 0,
    failed: Annotated[bool, Query(description="only failures")] = False,
    after: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=_RECORDS_MAX)] = 1000,
) -> Json:
    """Journal records, the last ones that fit."""
    return await question.answer(
        model=exact_text(request, "model"),
        event=event,
        since_ms=since,
        failed=failed,
        after=after,
        limit=limit,
    )
