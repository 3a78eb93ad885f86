"""The one way in which catalogue, images and journal change together.

Images are staged durably, the change is decided inside its transaction, its plans are journalled durably before the
transaction commits, then the images get their names, then the journal closes the plans. So a start finds in the
journal what was planned, in the catalogue what of it committed, and brings it to an end (`recovery`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelkeep.base.portions import in_portions
from modelkeep.base.troubles import Troubles
from modelkeep.changes.ports import Commits, Images, Records
from modelkeep.changes.publishing import Publisher
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Record
from modelkeep.errors import CatalogueError

R = TypeVar("R")

_RECORDS_AT_ONCE = 2000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a change does, decided inside its transaction.

    Args:
        plans: records from which a start can bring it to its end.
        records: what the journal says of it once it is committed; made as they are written, and read once.
        committed: what is left to do then.
        failed: records that close the plans if it is not committed; the reason is added to each.
    """

    plans: Sequence[Record] = ()
    records: Iterable[Record] = ()
    committed: Sequence[Committed] = ()
    failed: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """A change that is asked for.

    Args:
        commit: carries it out in one transaction of the catalogue, which drops these finished ids and hands its
            result to this function before it commits.
        plan: returns what a result means; called inside the transaction. What it raises ends the transaction.
        staged: names of the files that are staged for it; `plan` may add to them.
        failed: makes the records that tell that it failed, where its plan has none; the reason is added to each.
    """

    commit: Callable[[Sequence[str], Callable[[R], None]], Awaitable[R]]
    plan: Callable[[R], Planned]
    staged: list[str]
    failed: Callable[[], Sequence[Record]] = tuple


class Changes:
    """Carries changes out, one at a time.

    Args:
        catalogue: tells which of them it has.
        images: the files.
        journal: records every step.
        troubles: holds a report while committed images wait to be published.
    """

    def __init__(
        self,
        catalogue: Commits,
        images: Images,
        journal: Records,
        troubles: Troubles | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._journal = journal
        self._doubtful: list[_Attempt[Any]] = []
        self.publisher = Publisher(images, journal, troubles)

    @property
    def turn(self) -> asyncio.Lock:
        """Held by whoever makes a change: of two at once, one could take the other's images for its own."""
        return self._images.turn

    async def make(self, change: Change[R]) -> R:
        """Commit a change, publish its images and close it in the journal; the caller holds `turn`.

        Returns the result of the commit. What raises has not happened, or nobody can tell now: then it is brought to
        its end, or taken back, as soon as the catalogue can be asked.

        Raises:
            CatalogueError: it could not be committed, or it is unknown what became of an earlier one.
            JournalError: the plans could not be made durable.
        """
        attempt = _Attempt(change, self._journal)
        try:
            # Of two changes to one model the earlier has to be published first: none is begun while one is in doubt.
            await self._settle()
            attempt.finished = self.publisher.pop_finished()
            result = await change.commit(attempt.finished, attempt.before_commit)
        except BaseException as error:
            self.publisher.give_back(attempt.finished)
            attempt.error = str(error)
            if not await self._landed_after(attempt, error):
                raise
            assert attempt.result is not None  # noqa: S101 - what has a durable plan has a result
            return attempt.result
        if attempt.planned is None:  # nothing was to be changed, and nothing was written
            self.publisher.give_back(attempt.finished)
        await asyncio.to_thread(self._conclude, attempt)
        return result

    async def tend(self) -> None:
        """Try again what could not be done before."""
        if self._doubtful:
            async with self.turn:
                with contextlib.suppress(CatalogueError):  # the next one asks again
                    await self._settle()
        await asyncio.to_thread(self.publisher.publish)

    async def _landed_after(self, attempt: "_Attempt[Any]", error: BaseException) -> bool:
        """Return whether a change is committed whose commit failed; what is certainly not is taken back."""
        if attempt.is_durable:
            self._doubtful.append(attempt)
        if not isinstance(error, Exception):  # called off: who comes next asks
            return False
        if not attempt.is_durable:
            await asyncio.to_thread(self._withdraw, attempt)
            return False
        try:
            await self._settle()
        except CatalogueError as unknown:
            _log.warning("it is unknown whether a change was committed; it is asked again: %s", unknown)
        return attempt.has_landed

    async def _settle(self) -> None:
        """Ask the catalogue which of the failed commits it has, and bring each to its end or take it back."""
        if not self._doubtful:
            return
        landed = await self._catalogue.landed_migrations([name for each in self._doubtful for name in each.names])
        doubtful, self._doubtful = self._doubtful, []
        for attempt in doubtful:
            attempt.has_landed = not landed.isdisjoint(attempt.names)
        await asyncio.to_thread(self._end_all, doubtful)

    def _end_all(self, doubtful: "Sequence[_Attempt[Any]]") -> None:
        for attempt in doubtful:
            if attempt.has_landed:
                self._conclude(attempt)
            else:
                self._withdraw(attempt)

    def _conclude(self, attempt: "_Attempt[Any]") -> None:
        """Publish what is committed and close it in the journal; what cannot be done now is done later."""
        planned = attempt.planned or Planned()
        published = {file.staged for item in planned.committed for file in item.files}
        self._images.discard([name for name in attempt.change.staged if name not in published])
        for portion in in_portions(planned.records, _RECORDS_AT_ONCE):
            self._journal.append_many(portion)
        self.publisher.add(planned.committed)
        self.publisher.publish()

    def _withdraw(self, attempt: "_Attempt[Any]") -> None:
        """Clear away what was prepared for a change that is certainly not committed."""
        self._images.discard(attempt.change.staged)
        failed = (attempt.planned.failed if attempt.planned else ()) or attempt.change.failed()
        if failed:
            # An open plan would keep the journal's segments, and be rolled back at the next start.
            self._journal.append_many([(event, {**fields, "error": attempt.error}) for event, fields in failed])


class _Attempt(Generic[R]):
    """A change on its way."""

    def __init__(self, change: Change[R], journal: Records) -> None:
        self.change = change
        self.finished: Sequence[str] = ()
        self.result: R | None = None
        self.planned: Planned | None = None
        self.is_durable = False
        self.has_landed = False
        self.error = ""
        self._journal = journal

    @property
    def names(self) -> list[str]:
        """The ids that its transaction puts into the catalogue."""
        return [str(fields["migration"]) for _, fields in self.planned.plans] if self.planned else []

    def before_commit(self, result: R) -> None:
        """Make the plans durable; runs inside the transaction, in its thread."""
        self.result = result
        self.planned = self.change.plan(result)
        if self.planned.plans:
            self._journal.write_many(self.planned.plans)
        if self.planned.plans or self.finished:  # an id may be dropped only when its end is on the disk
            self._journal.sync()
        self.is_durable = bool(self.planned.plans)


async def to_the_end(work: Coroutine[Any, Any, R], on_cancel: Callable[[], None] = lambda: None) -> R:
    """Await work that goes on to its end although its caller is called off meanwhile, which `on_cancel` tells it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        on_cancel()
        await asyncio.wait([task])
        raise
