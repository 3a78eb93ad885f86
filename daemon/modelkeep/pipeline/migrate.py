"""Carry hashed rows over into the catalogue: plan, journal, render, commit, publish; many at a time.

The order of the steps is the journal's protocol: staged pictures are durable, then the plans are, then the one
transaction commits, then the pictures get their names, then the originals go.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from modelkeep.base.failpoints import reach
from modelkeep.base.persistence import do_for_all, unforeseen
from modelkeep.changes.publishing import NotesRecords, Publisher, PublishesPictures
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.faults import why
from modelkeep.domain.migration import Committed, MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import Action, Fingerprint, Record, RenderedPicture
from modelkeep.errors import CatalogueError, JournalError, NoWorkers, PictureError
from modelkeep.pipeline.jobs import Job, Stage

_log = logging.getLogger(__name__)

BATCH_MAX = 256


class MigratesRows(Protocol):
    """What this stage needs of the catalogue."""

    async def preview(self, order: MigrationOrder) -> Decision | None:
        """Return what a migration would do now."""

    async def migrate(
        self,
        orders: Sequence[MigrationOrder],
        finished: Sequence[str],
        now_ms: int,
        before_commit: Callable[[Sequence[MigrationResult]], None],
    ) -> list[MigrationResult]:
        """Carry out orders in one transaction."""


class KeepsPictures(PublishesPictures, Protocol):
    """What this stage needs of the picture store."""

    @property
    def turn(self) -> asyncio.Lock:
        """Held from a commit until its pictures have their names."""

    async def render(self, source: Path, stem: str) -> RenderedPicture:
        """Render the tiers of a picture into the staging folder."""

    def pending_path(self, name: str) -> Path:
        """Return where a pending picture lies."""

    def discard(self, staged: Sequence[str]) -> None:
        """Remove staged files."""


class WritesJournal(NotesRecords, Protocol):
    """What this stage needs of the journal."""

    def write_many(self, records: Sequence[Record]) -> int:
        """Append records."""

    def sync(self) -> None:
        """Make them durable."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A row of the queue whose digest is known; without a fingerprint it is known whatever lies at the path now."""

    job: Job
    sha256: str
    fingerprint: Fingerprint | None


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of a hashed row."""

    hashed: Hashed
    result: MigrationResult


class MigrateStage:
    """Takes hashed rows and migrates all that are ready together.

    Args:
        catalogue: carries the orders out.
        pictures: renders and publishes.
        journal: notes every step.
        clock_ms: milliseconds since 1970.
        on_done: gets what became of each row.
        publisher: brings to its end what is committed; its own when there is none that others use too.
        type_of: returns the type that a path suggests.
        looks: looks at paths.
    """

    def __init__(
        self,
        catalogue: MigratesRows,
        pictures: KeepsPictures,
        journal: WritesJournal,
        clock_ms: Callable[[], int],
        on_done: Callable[[list[Migrated]], Any],
        publisher: Publisher | None = None,
        type_of: Callable[[str], str] = lambda _: "",
        looks: DiskLooks | None = None,
    ) -> None:
        self._type_of = type_of
        self._looks = looks or DiskLooks()
        self._catalogue = catalogue
        self._pictures = pictures
        self._journal = journal
        self._clock_ms = clock_ms
        self._on_done = on_done
        self._ready: asyncio.Queue[Hashed] = asyncio.Queue()
        self.publisher = publisher or Publisher(pictures, journal)
        self._plans_are_durable = False
        # Their commit failed, perhaps after it was on the disk: a start would find it there, and carry it on. The
        # next commit takes its place in SQLite's log; until then their pictures and plans have to stay.
        self._doubtful: list[MigrationResult] = []
        self._in_hand = False

    @property
    def busy(self) -> bool:
        """Whether anything waits or is being migrated."""
        return self._in_hand or not self._ready.empty()

    def put(self, hashed: Hashed) -> None:
        """Hand over a row."""
        hashed.job.stage = Stage.MIGRATING
        self._ready.put_nowait(hashed)

    async def run(self) -> None:
        """Migrate what is ready, until cancelled."""
        while True:
            first = await self._ready.get()
            self._in_hand = True
            batch = self._fill_batch(first)
            # A stop waits for the batch in hand: cancelling this stage must not cut a migration in two.
            task = asyncio.ensure_future(do_for_all(self._migrate, batch, self._give_up))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                await task
                raise
            finally:
                self._in_hand = False

    def _fill_batch(self, first: Hashed) -> list[Hashed]:
        """Take what is ready; of one content only one row, for the second has to see what the first did."""
        batch, later = {first.sha256: first}, []
        while len(batch) < BATCH_MAX and not self._ready.empty():
            hashed = self._ready.get_nowait()
            if hashed.sha256 in batch:
                later.append(hashed)
            else:
                batch[hashed.sha256] = hashed
        for hashed in later:
            self._ready.put_nowait(hashed)
        return list(batch.values())

    async def _give_up(self, hashed: Hashed, error: Exception) -> None:
        result = MigrationResult(self._order(hashed), Outcome.FAILED, error=unforeseen(error))
        await self._on_done([Migrated(hashed, result)])

    async def _migrate(self, batch: Sequence[Hashed]) -> None:
        # From here on a batch is about the paths of this moment: who is renamed meanwhile comes back as moved.
        orders = {(order := self._order(hashed)).migration: (order, hashed) for hashed in batch}
        present = await self._looks.found(fingerprints_of, [order.path for order, _ in orders.values()])
        stale: list[tuple[MigrationOrder, Hashed]] = []
        ready: list[tuple[MigrationOrder, Hashed]] = []
        for order, hashed in orders.values():
            is_same = order.fingerprint is None or present.get(order.path) == order.fingerprint
            (ready if is_same else stale).append((order, hashed))
        prepared = await asyncio.gather(*(self._prepare(order, hashed) for order, hashed in ready))
        failed = [item for item in prepared if isinstance(item, Migrated)]
        asked = {migration: hashed for migration, (_, hashed) in orders.items()}
        done = await self._commit([item for item in prepared if isinstance(item, MigrationOrder)], asked)
        moved = [Migrated(hashed, MigrationResult(order, Outcome.MOVED)) for order, hashed in stale]
        await self._on_done([*done, *failed, *moved])

    def _order(self, hashed: Hashed) -> MigrationOrder:
        job = hashed.job
        return MigrationOrder(
            uuid4().hex,
            job.pending_id,
            job.path,
            hashed.sha256,
            hashed.fingerprint,
            job.strategy,
            original=job.image,
            suggested_type=self._type_of(job.path),
        )

    async def _prepare(self, order: MigrationOrder, hashed: Hashed) -> MigrationOrder | Migrated:
        """Complete an order: its picture is rendered if it will be stored."""
        if not order.original:
            return order
        try:
            decision = await self._catalogue.preview(order)
        except CatalogueError as error:
            return Migrated(hashed, MigrationResult(order, Outcome.FAILED, error=str(error)))
        if decision is None or decision.action not in (Action.CREATED, Action.MERGED, Action.OVERRIDDEN):
            return order
        try:
            picture = await self._pictures.render(self._pictures.pending_path(order.original), order.migration)
        except PictureError as error:
            return replace(order, picture_refused=str(error))
        except NoWorkers as error:  # the picture is not to blame: it is tried again with its row
            return Migrated(hashed, MigrationResult(order, Outcome.FAILED, error=str(error)))
        except OSError as error:
            reason = f"its picture could not be written: {why(error)}"
            return Migrated(hashed, MigrationResult(order, Outcome.FAILED, error=reason))
        reach("picture.rendered")
        return replace(order, picture=picture)

    async def _commit(self, orders: list[MigrationOrder], asked: Mapping[str, Hashed]) -> list[Migrated]:
        if not orders:
            return []
        async with self._pictures.turn:
            return await self._commit_in_turn(orders, asked)

    async def _commit_in_turn(self, orders: list[MigrationOrder], asked: Mapping[str, Hashed]) -> list[Migrated]:
        finished = self.publisher.take_finished()
        self._plans_are_durable = False
        try:
            results = await self._catalogue.migrate(orders, finished, self._clock_ms(), self._journal_plans)
        except (CatalogueError, JournalError, OSError) as error:
            self.publisher.give_back(finished)
            results = [MigrationResult(order, Outcome.FAILED, error=str(error)) for order in orders]
            if self._plans_are_durable and isinstance(error, CatalogueError):
                self._doubtful += results
            else:
                self._close_failed(results)
        else:
            self._close_failed(self._doubtful)
            self._doubtful = []
        done = [Migrated(asked[result.order.migration], result) for result in results]
        try:
            await asyncio.to_thread(self._conclude, done)
        except (OSError, JournalError) as error:
            # They are committed, and the plans are durable: what is left is done with the next batch, or at a start.
            _log.warning("pictures wait to be published: %s", error)
        return done

    def _journal_plans(self, results: Sequence[MigrationResult]) -> None:
        """Make the plans durable; runs inside the transaction, in the catalogue's thread."""
        planned = [result for result in results if result.outcome is Outcome.DONE]
        if planned:
            self._journal.write_many([("migration.planned", _plan(result)) for result in planned])
        self._journal.sync()
        self._plans_are_durable = True

    def _close_failed(self, failed: Sequence[MigrationResult]) -> None:
        """Clear away what migrations had prepared that have certainly not committed."""
        orders = [result.order for result in failed]
        with contextlib.suppress(OSError):  # what is left over is swept at the next start
            self._discard([order.picture for order in orders if order.picture])
        # An open plan would keep the journal's segments, and be rolled back at the next start.
        self._journal.note_many(
            [("migration.failed", _order_facts(result.order) | {"error": result.error}) for result in failed]
        )

    def _conclude(self, done: Sequence[Migrated]) -> None:
        """Publish what is committed and close it in the journal; runs in a thread."""
        self.publisher.add([_committed(item.result) for item in done if item.result.outcome is Outcome.DONE])
        for item in done:
            self._journal_outcome(item)
            order, published = item.result.order, {file.staged for file in item.result.files}
            if order.picture and item.result.outcome is not Outcome.FAILED:
                self._pictures.discard([name for name in order.picture.staged.values() if name not in published])
        self.publish()

    def publish(self) -> None:
        """Publish the pictures of all committed migrations and remove their originals; retries what failed before."""
        self.publisher.publish()

    def _journal_outcome(self, item: Migrated) -> None:
        result = item.result
        facts = _facts(result)
        records: list[Record] = []
        if result.outcome is Outcome.DONE:
            records.append(("migration.committed", facts | {"action": _action(result)}))
        elif result.outcome is Outcome.CONFLICTED and result.decision is not None:
            lost = list(result.decision.lost_keys)
            records.append(("migration.conflicted", facts | {"action": _action(result), "differing": lost}))
        if result.displaced:
            replaced_by = result.order.sha256
            cause = "other content lies at this path now"
            path = result.order.path
            records.append(
                (
                    "file.changed",
                    {"path": path, "sha256": result.displaced, "replaced_by": replaced_by, "cause": cause},
                )
            )
        if records:
            self._journal.note_many(records)

    def _discard(self, pictures: Sequence[RenderedPicture]) -> None:
        for picture in pictures:
            self._pictures.discard(list(picture.staged.values()))


def _facts(result: MigrationResult) -> dict[str, object]:
    return _order_facts(result.order)


def _order_facts(order: MigrationOrder) -> dict[str, object]:
    return {
        "migration": order.migration,
        "path": order.path,
        "sha256": order.sha256,
        "pending_id": order.pending_id,
    }


def _action(result: MigrationResult) -> str:
    return result.decision.action.value if result.decision else ""


def _plan(result: MigrationResult) -> dict[str, object]:
    """Return the whole plan as the journal holds it."""
    pending = result.pending
    assert pending is not None  # noqa: S101 - a row that is migrated exists
    row = {
        "name": pending.name,
        "type": pending.type,
        "base": pending.base,
        "size_bytes": pending.size_bytes,
        "created_at": pending.created_at,
        "source": pending.source,
        "tags": [tag.name for tag in pending.tags],
        "meta": pending.meta,
        "image": pending.image,
    }
    files = [file.as_json() for file in result.files]
    return _facts(result) | {
        "action": _action(result),
        "strategy": result.order.strategy.value,
        "pending": row,
        "files": files,
    }


def _committed(result: MigrationResult) -> Committed:
    pending = result.pending
    used_up = pending is not None and bool(pending.image) and not result.order.picture_refused
    return Committed(
        result.order.migration,
        result.order.sha256,
        result.files,
        originals=[pending.image] if pending is not None and used_up else [],
        ending=_ending(result),
    )


def _ending(result: MigrationResult) -> list[Record]:
    facts = _facts(result)
    records: list[Record] = []
    if result.files:
        records.append(("image.published", facts | {"files": [file.final for file in result.files]}))
    ending = facts | {"action": _action(result)}
    if result.order.picture_refused and result.pending is not None:
        ending |= {"error": result.order.picture_refused, "kept": f"images/pending/{result.pending.image}"}
    records.append(("migration.finished", ending))
    return records
