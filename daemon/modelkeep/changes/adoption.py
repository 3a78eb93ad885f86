"""Take in what other tools know of models: records are kept, attached to contents, and put into models.

All of it is one transaction through the one commit protocol, and all of it may be done again: what was cut off by a
crash is found by the next run, which asks the same of the catalogue.
"""

from collections.abc import Awaitable, Callable, Sequence

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption_records import planned
from modelkeep.changes.protocol import Change, Changes, to_the_end
from modelkeep.domain.adopting import Adopted, Arrival

Commit = Callable[[Sequence[str], Callable[[Adopted], None]], Awaitable[Adopted]]


class Adoption:
    """Takes source records in.

    Args:
        catalogue: what is known.
        changes: commits and journals.
        clock_ms: milliseconds since 1970.
    """

    def __init__(self, catalogue: Catalogue, changes: Changes, clock_ms: Callable[[], int]) -> None:
        self._catalogue = catalogue
        self._changes = changes
        self._clock_ms = clock_ms

    async def take(self, arrivals: Sequence[Arrival], gone: Sequence[int] = ()) -> Adopted:
        """Take in records that were read, and note those whose files are there no more, in one transaction."""
        return await self._make(
            lambda finished, before: self._catalogue.adopt(arrivals, finished, self._clock_ms(), before, gone=gone)
        )

    async def attach(self, paths: Sequence[str] | None = None, contents: Sequence[str] = ()) -> Adopted:
        """Attach what waits for the contents that were read at these paths (None: anywhere), or for these."""
        return await self._make(
            lambda finished, before: self._catalogue.attach_records(
                paths, finished, self._clock_ms(), before, contents=contents
            )
        )

    async def resolve(self, record_ids: Sequence[int], sha256: str) -> Adopted:
        """Give orphans to a model, or drop them when none is named: all of them, or nothing.

        Raises:
            NotFound: one of them is no orphan, or there is no such model.
        """
        return await self._make(
            lambda finished, before: self._catalogue.resolve_orphans(
                record_ids, sha256, finished, self._clock_ms(), before
            )
        )

    async def _make(self, commit: Commit) -> Adopted:
        return await to_the_end(self._in_turn(commit))

    async def _in_turn(self, commit: Commit) -> Adopted:
        async with self._changes.turn:
            return await self._changes.make(Change(commit, planned, []))
