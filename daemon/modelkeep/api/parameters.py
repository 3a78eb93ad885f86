"""What handlers take from a request: the backend, and values that are checked on the way in."""

import asyncio
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from modelkeep.api.access import AccessRules, may_name
from modelkeep.api.backend import Backend
from modelkeep.api.guard import OWNER_KEY
from modelkeep.api.requests import ROW_ID_MAX
from modelkeep.api.responses import Json, JsonList
from modelkeep.domain.values import normalise_sha256
from modelkeep.errors import NotAllowed, NotFound

PAGE_MAX = 500
"""So many items make an answer at once; a longer list may hold the whole library."""


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


class Question:
    """A question of a request, which the library knows by the path of the route."""

    def __init__(self, request: Request) -> None:
        self._library = _backend_of(request).library
        self._path = request.scope["route"].path

    async def ask(self, **parameters: Any) -> Any:
        """Return the library's answer as it is; the parameters are named as it names them."""
        return await self._library.ask(self._path, **parameters)

    async def answer(self, **parameters: Any) -> Json:
        """Return the library's answer."""
        return Json(await self.ask(**parameters))

    async def listed(self, name: str, *, limit: int = 0, **parameters: Any) -> Response:
        """Return the library's answer, a list of this name; a long one is made while it is sent."""
        if 0 < limit <= PAGE_MAX:
            return await self.answer(limit=limit, **parameters)
        return await JsonList.of(name, self._library.portions(self._path, limit=limit, **parameters))


class PathRights:
    """Which paths of this machine a caller may name."""

    def __init__(self, request: Request) -> None:
        self._access: AccessRules = request.app.state.access
        self._is_owner = bool(request.scope.get(OWNER_KEY))

    async def require(self, *paths: str) -> None:
        """Let a request pass that may have these paths read.

        Raises:
            NotAllowed: it may not; nothing is said about the paths.
        """
        if not self._is_owner and not await asyncio.to_thread(may_name, self._access, *paths):
            raise NotAllowed(ONLY_THE_OWNER)


ONLY_THE_OWNER = (
    "Only the owner may have files of this machine imported: use the command line (modelkeep import), set api.token"
    " and send it, or name the folder of the database in api.import_folders."
)

Rights = Annotated[PathRights, Depends(PathRights)]
TheQuestion = Annotated[Question, Depends(Question)]
TheBackend = Annotated[Backend, Depends(_backend_of)]
Sha256 = Annotated[str, Depends(_sha256_of)]
TagId = Annotated[int, Path(alias="id", ge=1, le=ROW_ID_MAX, description="number of a tag")]
PendingId = Annotated[int, Path(ge=1, le=ROW_ID_MAX, description="number of a row of the queue")]
RecordId = Annotated[int, Path(ge=1, le=ROW_ID_MAX, description="number of a source record")]
Limit = Annotated[int, Query(ge=0, le=ROW_ID_MAX, description="at most so many; 0 = all")]
Offset = Annotated[int, Query(ge=0, le=ROW_ID_MAX, description="leave out so many at the beginning")]
