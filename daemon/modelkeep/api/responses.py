"""Answers as JSON that always can be written: names that are not UTF-8 and numbers that JSON has no words for too."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from modelkeep.domain.json_text import COMPACT, json_text


def as_json(content: object) -> bytes:
    """Return a value as JSON in ASCII.

    A path that is not UTF-8 holds surrogate escapes, which no UTF-8 can carry; as JSON escapes they reach the reader.
    NaN and infinities, which a legacy source may hold, become null.
    """
    return json_text(content, encoding="ascii", spell=lambda _: None, separators=COMPACT).encode("ascii")


class Json(JSONResponse):
    """A JSON answer; browsers shall not take it for anything else."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return as_json(content)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers."""
        super().init_headers({"X-Content-Type-Options": "nosniff", **(headers or {})})


def failure(status_code: int, sentence: str, *, headers: Mapping[str, str] | None = None, **more: object) -> Json:
    """Return an answer that says in one sentence what was wrong.

    Args:
        status_code: the HTTP status.
        sentence: for the user.
        headers: to be added.
        more: further fields beside `error`.
    """
    return Json({"error": sentence, **more}, status_code=status_code, headers=headers)
