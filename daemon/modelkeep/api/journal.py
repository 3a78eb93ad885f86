"""The journal, read over HTTP."""

from typing import Annotated

from fastapi import Query, Request

from modelkeep.api import reports
from modelkeep.api.parameters import TheQuestion, exact_text
from modelkeep.api.requests import ROW_ID_MAX
from modelkeep.api.responses import Json
from modelkeep.api.subject import subject

router = subject("operation", "/api/journal")

_RECORDS_MAX = 10_000

After = Annotated[int | None, Query(ge=0, le=ROW_ID_MAX, description="only records after the one of this number")]


@router.get("", response_model=reports.Records)
async def records(
    question: TheQuestion,
    request: Request,
    model: Annotated[str, Query(description="only what happened to this model: a name, hash or path")] = "",  # noqa: ARG001
    event: Annotated[str, Query(description="only events of this name; * stands for any text")] = "",
    since: Annotated[int, Query(ge=0, le=2**53, description="only from this time on, in ms since 1970")] = 0,
    failed: Annotated[bool, Query(description="only failures")] = False,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=_RECORDS_MAX)] = 1000,
) -> Json:
    """Journal records: the last ones that fit; with `after` the first ones after that."""
    return await question.answer(
        model=exact_text(request, "model"),
        event=event,
        since_ms=since,
        failed=failed,
        after=after,
        limit=limit,
    )
