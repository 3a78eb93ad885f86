"""Every error becomes `{"error": "<one sentence>"}` with the status that fits."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelkeep import errors
from modelkeep.api.responses import failure
from modelkeep.domain.faults import UNWRITABLE, explained

log = structlog.get_logger("modelkeep.api")

UNEXPECTED = "Something went wrong inside modelkeep; its log says what."

_STATUS: dict[type[BaseException], int] = {
    errors.NotFound: 404,
    errors.FileVanished: 404,
    errors.OutsideRoots: 403,
    errors.NotAllowed: 403,
    errors.FileChanged: 409,
    errors.NotAModel: 400,
    errors.HashError: 422,
    errors.WorkerDied: 503,
    errors.Conflict: 409,
    errors.Outdated: 412,
    errors.Overloaded: 503,
    errors.Busy: 423,
    errors.HashCancelled: 503,
    errors.NoWorkers: 503,
    errors.RootAway: 503,
    errors.DataDirectoryBusy: 503,
    errors.SourceError: 400,
    errors.ImportStopped: 503,
    errors.SettingsError: 400,
    errors.ImageError: 415,
    errors.ImageTooLarge: 413,
    errors.StorageError: 507,
    errors.CatalogueLocked: 503,
    errors.CatalogueUnwritable: 507,
    errors.JournalError: 507,
}
_RETRY_AFTER_SECONDS = "5"
"""What a caller is asked to wait for something that passes by itself."""

_OUTSIDE = "That path lies in none of the watched roots."
_PLACES = {"body": "the body", "query": "the query", "path": "the address", "header": "the headers"}
_PROBLEMS_MAX = 5


def sentence_of(error: errors.ModelkeepError) -> str:
    """Return what the caller reads about an error.

    Of a path outside the roots nothing is told, not even whether it exists.
    """
    return _OUTSIDE if isinstance(error, errors.OutsideRoots) else str(error) or UNEXPECTED


def status_of(error: errors.ModelkeepError) -> int:
    """Return the HTTP status that an error stands for."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def expected_fault(error: BaseException) -> str | None:
    """Return the sentence for a disk that is full or read-only; None for any other error."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return explained(error, "files of modelkeep")
    return None


def answer_failures(app: FastAPI) -> None:
    """Make an application answer every error in the one shape."""
    app.add_exception_handler(errors.ModelkeepError, _on_purpose)
    app.add_exception_handler(HTTPException, _by_framework)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_middleware(_LastResort)


class _LastResort:
    """Answers errors that nobody foresaw, and logs them once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # The border to the caller: whatever it was, the next request must find the daemon at work.
            if begun or scope["type"] != "http":
                raise  # the connection has to break, or half an answer would pass for a whole one
            await _answer_of(error, scope)(scope, receive, send)


def _answer_of(error: Exception, scope: Scope) -> Response:
    about = {"method": scope["method"], "path": scope["path"]}
    sentence = expected_fault(error)
    if sentence is None:
        log.error("request.failed", **about, exc_info=error)
        return failure(500, UNEXPECTED)
    log.error("request.failed", **about, error=sentence)
    return failure(507, sentence)


async def _on_purpose(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ModelkeepError)  # noqa: S101 - registered for nothing else
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.failed", method=request.method, path=request.scope["path"], error=str(error))
    headers = {"Retry-After": _RETRY_AFTER_SECONDS} if isinstance(error, errors.CatalogueLocked) else None
    return failure(status, sentence_of(error), headers=headers)


async def _by_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    # Not request.url: that is put together from the Host header, which may be anything.
    path = request.scope["path"]
    sentences = {
        400: "The body cannot be read as JSON.",
        404: f"There is nothing at {path}.",
        405: f"{path} does not know the method {request.method}.",
    }
    return failure(error.status_code, sentences.get(error.status_code, str(error.detail)), headers=error.headers)


async def _unfit(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    problems = [_problem(detail) for detail in error.errors()[:_PROBLEMS_MAX]]
    return failure(422, "; ".join(dict.fromkeys(problems)) + ".")


def _problem(detail: dict[str, Any]) -> str:
    """Name the field and what is wrong with it, never its value: it may be anything, of any length."""
    location: Sequence[str | int] = detail["loc"]
    if detail["type"] == "json_invalid":
        return f"The body is not valid JSON (at character {location[-1]})"
    place = _PLACES.get(str(location[0]), str(location[0]))
    name = ".".join(str(part) for part in location[1:] if not _is_branch(part))
    is_empty = detail["type"] == "too_short" and detail["ctx"]["actual_length"] == 0
    what = "it is empty" if is_empty else str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{name} in {place}: {what}" if name else f"In {place}: {what}"


def _is_branch(part: str | int) -> bool:
    """Return whether a part of a place is none of the body, but which of several shapes was tried there."""
    return isinstance(part, str) and (part == "constrained-int" or part[:1].isupper())
