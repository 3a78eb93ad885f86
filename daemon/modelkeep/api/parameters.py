"""What handlers take from a request: the backend, and values that are checked on the way in."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Path, Query, Request

from modelkeep.api.backend import Backend
from modelkeep.api.schemas import ROW_ID_MAX
from modelkeep.domain.values import normalise_sha256
from modelkeep.errors import NotFound


def _backend_of(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def _sha256_of(sha256: str) -> str:
    known = normalise_sha256(sha256)
    if known is None:
        raise NotFound("There is no such model: a hash has 64 hex digits.")
    return known


def exact_text(request: Request, name: str) -> str:
    """Return a query parameter byte for byte, with what is no UTF-8 as surrogate escapes: it may be a path."""
    query = request.scope["query_string"].decode("latin-1")
    values: list[str] = parse_qs(query, keep_blank_values=True, errors="surrogateescape").get(name, [""])
    return values[-1]


TheBackend = Annotated[Backend, Depends(_backend_of)]
Sha256 = Annotated[str, Depends(_sha256_of)]
PendingId = Annotated[int, Path(ge=1, le=ROW_ID_MAX, description="number of a row of the queue")]
Limit = Annotated[int, Query(ge=0, le=ROW_ID_MAX, description="at most so many; 0 = all")]
Offset = Annotated[int, Query(ge=0, le=ROW_ID_MAX, description="leave out so many at the beginning")]
