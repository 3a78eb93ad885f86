"""Long lists, made while they are sent: nobody holds all of a large library.

Which items there are is asked once; what is gone when its portion is made is left out.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from modelkeep.api import shapes
from modelkeep.api.shapes import Shape
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.browsing import Order, Wanted
from modelkeep.domain.values import PendingImport

T = TypeVar("T")

LISTED_AT_ONCE = 500
"""Items of a list of which an answer is made at once; others are answered in between."""

Portions = AsyncIterator[Sequence[Shape]]


class Lists:
    """Answers questions with a list in portions. A `limit` of 0 means all.

    Args:
        catalogue: what is known.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._by_path: Mapping[str, Callable[..., Portions]] = {
            "/api/models": self._models,
            "/api/models/browse": self._browsed,
            "/api/orphans": self._orphans,
            "/api/pending": partial(self._rows, shapes.queue_row),
            "/api/migration/pending_models": partial(self._rows, shapes.pending_listed),
        }

    def portions(self, path: str, **parameters: Any) -> Portions:
        """Return what the library answers a question, see its `ask`."""
        return self._by_path[path](**parameters)

    def _models(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the column's name
        limit: int = 0,
        offset: int = 0,
        **wanted: Any,
    ) -> Portions:
        asked = self._catalogue.model_hashes(type=stored_type(type), limit=limit, offset=offset, **wanted)
        return self._of_hashes(asked)

    def _browsed(self, *, order: Order = Order.NAME, limit: int = 0, offset: int = 0, **looked_for: Any) -> Portions:
        return self._of_hashes(self._catalogue.browsed_hashes(wanted(**looked_for), order, limit, offset))

    async def _of_hashes(self, asked: Awaitable[list[str]]) -> Portions:
        for chosen in _divided(await asked):
            yield [shapes.model_listed(*listed) for listed in await self._catalogue.models_listed(chosen)]

    async def _orphans(self, *, limit: int = 0, offset: int = 0) -> Portions:
        for chosen in _divided(await self._catalogue.orphan_ids(), limit, offset):
            yield [shapes.orphan(found) for found in await self._catalogue.orphans(chosen)]

    async def _rows(
        self, shape: Callable[[PendingImport], Shape], *, state: str | None = None, limit: int = 0, offset: int = 0
    ) -> Portions:
        for chosen in _divided(await self._catalogue.pending_ids(state, limit, offset)):
            rows = await self._catalogue.pendings(chosen)
            yield [shape(rows[id_]) for id_ in chosen if id_ in rows and state in (None, rows[id_].state)]


def _divided(items: Sequence[T], limit: int = 0, offset: int = 0) -> Iterator[Sequence[T]]:
    """Return some of these items in portions."""
    chosen = items[offset : offset + limit if limit else None]
    return (chosen[start : start + LISTED_AT_ONCE] for start in range(0, len(chosen), LISTED_AT_ONCE))


def wanted(*, text: str = "", tag: Sequence[str] = (), type: str | None = None) -> Wanted:  # noqa: A002 - as asked
    """Return what somebody looks for, as it is asked for."""
    return Wanted(text, tuple(tag), stored_type(type))


def stored_type(asked: str | None) -> str | None:
    """Return a type as it is stored: `others` are the models without one."""
    return "" if asked == "others" else asked
