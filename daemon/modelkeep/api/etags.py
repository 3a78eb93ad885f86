"""Versions of what is answered: whoever has one need not fetch it again, and changes nothing that he has not seen."""

import hashlib

from starlette.responses import Response

from modelkeep.api.responses import Json, as_json
from modelkeep.api.shapes import Shape


def etag_of(shape: Shape) -> str:
    """Return the version of an answer: another one whenever anything in it is another."""
    return f'"{hashlib.sha256(as_json(shape)).hexdigest()[:32]}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Return whether a version is among those that a caller has, compared as `If-None-Match` is."""
    known = {known.strip().removeprefix("W/") for known in (if_none_match or "").split(",")}
    return bool(known & {tag, "*"})


def is_expected(tag: str, if_match: str | None) -> bool:
    """Return whether a version is the one that a caller means to change; one who names none means any."""
    return if_match is None or bool({known.strip() for known in if_match.split(",")} & {tag, "*"})


def versioned(shape: Shape, if_none_match: str | None = None) -> Response:
    """Return an answer with its version, or that the caller has it already."""
    tag = etag_of(shape)
    if is_known(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    return Json(shape, headers={"ETag": tag, "Cache-Control": "no-cache"})
