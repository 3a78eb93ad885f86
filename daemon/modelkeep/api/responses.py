"""Answers as JSON that always can be written: names that are not UTF-8 and numbers that JSON has no words for too."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

from starlette.responses import JSONResponse, StreamingResponse

from modelkeep.domain.json_text import COMPACT, json_text

T = TypeVar("T")

_NOT_TO_BE_GUESSED = {"X-Content-Type-Options": "nosniff"}


def as_json(content: object) -> bytes:
    """Return a value as JSON in ASCII.

    A path that is not UTF-8 holds surrogate escapes, which no UTF-8 can carry; as JSON escapes they reach the reader.
    NaN and infinities, which a legacy source may hold, become null.
    """
    return json_text(content, encoding="ascii", spell=lambda _: None, separators=COMPACT).encode("ascii")


class JsonList(StreamingResponse):
    """A JSON answer with a list that is made while it is sent, so that nobody holds all of it."""

    @classmethod
    async def of(cls, name: str, portions: AsyncIterator[Sequence[object]]) -> "JsonList":
        """Return an object whose one member is a list; what the first portion raises is raised here."""
        first: Sequence[object] = ()
        async for first in portions:  # noqa: B007 - anext() with a default fails in Python 3.11
            break

        async def body() -> AsyncIterator[bytes]:
            yield b"{" + as_json(name) + b":["
            separator = b""
            async for some in _after(first, portions):
                if some:
                    yield separator + as_json(some)[1:-1]
                    separator = b","
            yield b"]}"

        return cls(body(), media_type="application/json", headers=_NOT_TO_BE_GUESSED)


async def _after(first: T, others: AsyncIterator[T]) -> AsyncIterator[T]:
    yield first
    async for other in others:
        yield other


class Json(JSONResponse):
    """A JSON answer; browsers shall not take it for anything else."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return as_json(content)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers."""
        super().init_headers({**_NOT_TO_BE_GUESSED, **(headers or {})})


def failure(status_code: int, sentence: str, *, headers: Mapping[str, str] | None = None, **more: object) -> Json:
    """Return an answer that says in one sentence what was wrong.

    Args:
        status_code: the HTTP status.
        sentence: for the user.
        headers: to be added.
        more: further fields beside `error`.
    """
    return Json({"error": sentence, **more}, status_code=status_code, headers=headers)
