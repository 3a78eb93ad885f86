"""Carry hashed rows over into the catalogue, many at a time: images are rendered, then all rows are one change."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from secrets import token_hex

from modelkeep.base.failpoints import reach
from modelkeep.base.persistence import do_for_all, unforeseen
from modelkeep.changes.migration_records import failed, planned
from modelkeep.changes.protocol import Change, Changes, to_the_end
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.faults import why
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.domain.migration import MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import Action
from modelkeep.errors import CatalogueError, ImageError, JournalError, NoWorkers
from modelkeep.pipeline.inbox import Inbox
from modelkeep.pipeline.jobs import Job, Stage
from modelkeep.pipeline.ports import Migrations, PendingImages

BATCH_MAX = 1024

IMAGES_MAX = 16
"""Images rendered for one batch: a stop waits for the batch in hand, and has ten seconds."""


@frozen
class Hashed:
    """A row of the queue whose digest is known; without a fingerprint it is known whatever lies at the path now.

    `facts` are what else was read of the file, where it was read for this. `is_believed`: it was not, for the
    catalogue says what it holds.
    """

    job: Job
    sha256: str
    fingerprint: Fingerprint | None
    facts: ContentFacts | None = None
    is_believed: bool = False


@frozen
class Migrated:
    """What became of a hashed row."""

    hashed: Hashed
    result: MigrationResult


OnDone = Callable[[Sequence[Migrated]], Awaitable[None]]


class MigrateStage:
    """Takes hashed rows and migrates all that are ready together.

    Args:
        catalogue: carries the orders out.
        images: renders images.
        changes: commits and publishes.
        clock_ms: milliseconds since 1970.
        type_of: returns the type that a path suggests.
        looks: looks at paths.
    """

    def __init__(
        self,
        catalogue: Migrations,
        images: PendingImages,
        changes: Changes,
        clock_ms: Callable[[], int],
        type_of: Callable[[str], str] = lambda _: "",
        looks: DiskLooks | None = None,
    ) -> None:
        self._type_of = type_of
        self._looks = looks or DiskLooks()
        self._catalogue = catalogue
        self._images = images
        self._changes = changes
        self._clock_ms = clock_ms
        self._ready: Inbox[Hashed] = Inbox(BATCH_MAX)

    @property
    def busy(self) -> bool:
        """Whether anything waits or is being migrated."""
        return not self._ready.is_empty

    def put(self, hashed: Hashed) -> None:
        """Hand over a row."""
        hashed.job.stage = Stage.MIGRATING
        self._ready.put(hashed)

    async def run(self, on_done: OnDone) -> None:
        """Migrate what is ready, until cancelled.

        Args:
            on_done: gets what became of the rows of a batch.
        """

        async def migrate(batch: Sequence[Hashed]) -> None:
            await on_done(await self._migrate(batch))

        async def give_up(hashed: Hashed, error: Exception) -> None:
            await on_done([Migrated(hashed, _failed(self._order(hashed), unforeseen(error)))])

        async def migrate_ready(ready: Sequence[Hashed]) -> None:
            # A stop waits for the batch in hand: cancelling this stage must not cut a migration in two.
            await to_the_end(do_for_all(migrate, self._choose(ready), give_up))

        while True:
            await self._ready.take(migrate_ready)

    def _choose(self, ready: Sequence[Hashed]) -> list[Hashed]:
        """Return what is migrated together, and put the others back.

        Of one content only one row, for the second has to see what the first did; and few with images, which take
        long to render.
        """
        batch: dict[str, Hashed] = {}
        images = 0
        for hashed in ready:
            images += bool(hashed.job.image)
            if hashed.sha256 in batch or (hashed.job.image and images > IMAGES_MAX):
                self._ready.put(hashed)
            else:
                batch[hashed.sha256] = hashed
        return list(batch.values())

    async def _migrate(self, batch: Sequence[Hashed]) -> list[Migrated]:
        # From here on a batch is about the paths of this moment: who is renamed meanwhile comes back as moved.
        orders = {(order := self._order(hashed)).migration: (order, hashed) for hashed in batch}
        present = await self._looks.found(fingerprints_of, [order.path for order, _ in orders.values()])
        stale: list[tuple[MigrationOrder, Hashed]] = []
        ready: list[tuple[MigrationOrder, Hashed]] = []
        for order, hashed in orders.values():
            is_same = order.fingerprint is None or present.get(order.path) == order.fingerprint
            (ready if is_same else stale).append((order, hashed))
        prepared = await self._prepare([order for order, _ in ready])
        asked = {migration: hashed for migration, (_, hashed) in orders.items()}
        results = await self._commit([item for item in prepared if isinstance(item, MigrationOrder)])
        results += [item for item in prepared if isinstance(item, MigrationResult)]
        results += [MigrationResult(order, Outcome.MOVED) for order, _ in stale]
        return [Migrated(asked[result.order.migration], result) for result in results]

    def _order(self, hashed: Hashed) -> MigrationOrder:
        job = hashed.job
        return MigrationOrder(
            token_hex(16),
            job.pending_id,
            job.path,
            hashed.sha256,
            hashed.fingerprint,
            job.strategy,
            original=job.image,
            suggested_type=self._type_of(job.path),
            content=None if hashed.facts is None else ContentRow.of(hashed.sha256, hashed.facts),
            is_believed=hashed.is_believed,
        )

    async def _prepare(self, orders: Sequence[MigrationOrder]) -> list[MigrationOrder | MigrationResult]:
        """Complete orders: images that will be stored are rendered; those that fail are over."""
        plain = [order for order in orders if not order.original]
        imaged = [order for order in orders if order.original]
        if not imaged:
            return [*plain]
        try:
            decisions = await self._catalogue.preview(imaged)
        except CatalogueError as error:
            return [*plain, *(_failed(order, str(error)) for order in imaged)]
        stored = [order for order in imaged if _stores_image(decisions.get(order.migration))]
        others = [order for order in imaged if order not in stored]
        return [*plain, *others, *await asyncio.gather(*map(self._render, stored))]

    async def _render(self, order: MigrationOrder) -> MigrationOrder | MigrationResult:
        """Render the image of an order."""
        try:
            image = await self._images.render(self._images.pending_path(order.original), order.migration)
        except ImageError as error:
            return replace(order, image_refused=str(error))
        except NoWorkers as error:  # the image is not to blame: it is tried again with its row
            return _failed(order, str(error))
        except OSError as error:
            return _failed(order, f"its image could not be written: {why(error)}")
        reach("image.rendered")
        return replace(order, image=image)

    async def _commit(self, orders: list[MigrationOrder]) -> list[MigrationResult]:
        if not orders:
            return []
        change: Change[Sequence[MigrationResult]] = Change(
            lambda finished, before: self._catalogue.migrate(orders, finished, self._clock_ms(), before),
            planned,
            [name for order in orders if order.image for name in order.image.staged.values()],
            lambda: failed(orders),
        )
        try:
            async with self._changes.turn:
                results = await self._changes.make(change)
            return list(results)
        except (CatalogueError, JournalError, OSError) as error:
            return [_failed(order, str(error)) for order in orders]


def _failed(order: MigrationOrder, error: str) -> MigrationResult:
    return MigrationResult(order, Outcome.FAILED, error=error)


def _stores_image(decision: Decision | None) -> bool:
    return decision is not None and decision.action in (Action.CREATED, Action.MERGED, Action.OVERRIDDEN)
