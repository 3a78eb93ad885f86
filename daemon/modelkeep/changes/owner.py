"""What the owner does by hand to pictures and models, as safe from a crash as a migration.

The order of the steps is the same: what will be published is staged durably, the plan is journalled durably, one
transaction commits, then files get their names and what nothing names any more goes. So recovery brings an act that
was cut short to its end, or takes it back, without knowing what kind of act it was.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar
from uuid import uuid4

from modelkeep.changes.act_records import facts_of, plan_of
from modelkeep.changes.publishing import NotesRecords, Publisher, PublishesPictures
from modelkeep.disk.files import fingerprints_of, why_unseen
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.acts import ActKind, ActOrder, ActPlan, published_names, refuse_purge
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.faults import told
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Fingerprint, LocationState, RenderedPicture
from modelkeep.errors import Busy, CatalogueError, Conflict, ModelkeepError, NotFound, PictureError, StorageError

T = TypeVar("T")


class ActsOnModels(Protocol):
    """What is needed of the catalogue."""

    async def model(self, sha256: str) -> ModelDetails | None:
        """Return a model with its pictures and locations."""

    async def act(
        self, order: ActOrder, finished: Sequence[str], now_ms: int, before_commit: Callable[[ActPlan], None]
    ) -> ActPlan:
        """Carry out an act in one transaction."""


class StagesPictures(PublishesPictures, Protocol):
    """What is needed of the picture store."""

    @property
    def turn(self) -> asyncio.Lock:
        """Held from a commit until its pictures have their names."""

    async def render(self, source: Path, stem: str) -> RenderedPicture:
        """Render the tiers of a picture into the staging folder."""

    def staged_path(self, name: str) -> Path:
        """Return where a staged file lies."""

    def require_writable(self) -> None:
        """Raise OSError when pictures cannot be put in their place or removed."""

    def lost_files(self, names: Iterable[str]) -> set[str]:
        """Return those of these published files that are not there."""

    def stage_links(self, links: Mapping[str, str]) -> None:
        """Give published pictures staged names too, durably."""

    def discard(self, staged: Iterable[str]) -> None:
        """Remove staged files."""


class WritesJournal(NotesRecords, Protocol):
    """What is needed of the journal."""

    def write(self, event: str, **fields: object) -> int:
        """Append a record."""

    def sync(self) -> None:
        """Make what was written durable."""


class OwnerActs:
    """Carries out acts, one at a time.

    Args:
        catalogue: what is known.
        pictures: the files.
        journal: notes every step.
        publisher: brings to its end what is committed; the one that migrations use.
        clock_ms: milliseconds since 1970.
        looks: looks at paths.
    """

    def __init__(
        self,
        catalogue: ActsOnModels,
        pictures: StagesPictures,
        journal: WritesJournal,
        publisher: Publisher,
        clock_ms: Callable[[], int],
        looks: DiskLooks | None = None,
    ) -> None:
        self._looks = looks or DiskLooks()
        self._catalogue = catalogue
        self._pictures = pictures
        self._journal = journal
        self._publisher = publisher
        self._clock_ms = clock_ms
        # Their commit failed, perhaps after it was on the disk: see `MigrateStage`.
        self._doubtful: list[_Preparation] = []

    async def remove_picture(self, sha256: str, seq: int) -> int:
        """Remove a picture, let later ones move down, and return how many are left.

        Raises:
            NotFound: there is no such picture.
            Busy: earlier pictures of the model still wait to be published.
            Conflict: a later picture has lost one of its files.
        """
        plan = await self._carry_out(ActOrder(uuid4().hex, ActKind.IMAGE_REMOVED, sha256, seq))
        return len(plan.images)

    async def add_picture(self, sha256: str, picture: BinaryIO) -> int:
        """Add a picture to a model; return its number, or that of the same picture when it is there already.

        One whose files were lost gets them back.

        Raises:
            NotFound: there is no such model.
            PictureError: it is no picture, or cannot be used.
            Busy: earlier pictures of the model still wait to be published.
        """
        await self._known(sha256)
        migration = uuid4().hex
        rendered = await self._render(picture, migration)
        order = ActOrder(migration, ActKind.IMAGE_UPLOADED, sha256, picture=rendered)
        plan = await self._carry_out(order)
        assert plan.seq is not None  # noqa: S101 - an upload has one
        return plan.seq

    async def purge(self, sha256: str) -> ActPlan:
        """Forget a model with everything that belongs to it.

        Raises:
            NotFound: there is no such model.
            Conflict: a file of it is there, or may be.
            Busy: its pictures still wait to be published.
        """
        known = await self._known(sha256)
        refuse_purge(known)
        await self._refuse_returned(known)
        return await self._carry_out(ActOrder(uuid4().hex, ActKind.PURGED, sha256))

    async def _known(self, sha256: str) -> ModelDetails:
        known = await self._catalogue.model(sha256)
        if known is None:
            raise NotFound(f"there is no model {sha256}")
        return known

    async def _refuse_returned(self, known: ModelDetails) -> None:
        """Raise Conflict when a file that counts as missing is back, or nobody can tell."""
        missing = {place.path: place.fingerprint for place in known.locations if place.state is LocationState.MISSING}
        found = await self._looks.found(partial(_why_kept, missing), missing)
        for path in missing:
            reason = found.get(path, _untold(path, "its disk or server does not answer"))
            if reason:
                raise Conflict(reason)

    async def _render(self, picture: BinaryIO, migration: str) -> RenderedPicture:
        """Render a picture that lies nowhere yet."""
        source = self._pictures.staged_path(f"{migration}.upload")
        try:
            await asyncio.to_thread(_save, picture, source)
            return await self._pictures.render(source, migration)
        except PictureError as error:
            raise PictureError(str(error).replace(source.name, "what was sent")) from error
        except OSError as error:
            raise_as_told(error)
        finally:
            self._pictures.discard([source.name])

    async def _carry_out(self, order: ActOrder) -> ActPlan:
        preparation = _Preparation(order, self._pictures, self._journal)
        return await to_the_end(self._in_turn(preparation))

    async def _in_turn(self, preparation: "_Preparation") -> ActPlan:
        async with self._pictures.turn:
            try:
                await asyncio.to_thread(self._require_published, preparation.order.sha256)
                if preparation.order.kind is ActKind.IMAGE_UPLOADED:
                    preparation.order = await self._knowing_lost(preparation.order)
                return await self._commit(preparation)
            except (ModelkeepError, OSError) as error:
                if preparation.is_durable and isinstance(error, CatalogueError):
                    self._doubtful.append(preparation)
                else:
                    preparation.take_back(str(error))
                raise_as_told(error)

    async def _knowing_lost(self, order: ActOrder) -> ActOrder:
        """Return the order with the files that its model has lost."""
        names = published_names((await self._known(order.sha256)).images)
        return replace(order, lost=frozenset(await asyncio.to_thread(self._pictures.lost_files, names)))

    def _require_published(self, sha256: str) -> None:
        """Have all that is committed published: what follows is staged from published files."""
        self._publisher.publish()
        if self._publisher.waits_for(sha256):
            raise Busy("pictures of this model wait to be published: `modelkeep status` tells why; try again later")

    async def _commit(self, preparation: "_Preparation") -> ActPlan:
        finished = self._publisher.take_finished()
        try:
            plan = await self._catalogue.act(preparation.order, finished, self._clock_ms(), preparation.make_durable)
        except BaseException:
            self._publisher.give_back(finished)
            raise
        if not plan.changes:
            self._publisher.give_back(finished)
            preparation.discard()
            return plan
        doubtful, self._doubtful = self._doubtful, []
        for failed in doubtful:
            failed.take_back("its commit failed")
        await asyncio.to_thread(self._conclude, plan)
        return plan

    def _conclude(self, plan: ActPlan) -> None:
        """Publish what is committed and close it in the journal; runs in a thread."""
        self._journal.note_many([("migration.committed", facts_of(plan))])
        ending = ("migration.finished", facts_of(plan))
        order = plan.order
        self._publisher.add(
            [Committed(order.migration, order.sha256, plan.files, plan.removed, plan.originals, [ending])]
        )
        # It is committed, and the plan is durable: what cannot be done now is done later, or at a start.
        self._publisher.publish()


class _Preparation:
    """What is staged and journalled for one act."""

    def __init__(self, order: ActOrder, pictures: StagesPictures, journal: WritesJournal) -> None:
        self.order = order
        self.is_durable = False
        self._pictures = pictures
        self._journal = journal
        self._staged = list(order.picture.staged.values()) if order.picture else []
        self._facts: dict[str, object] = {}

    def make_durable(self, plan: ActPlan) -> None:
        """Stage what will be published and journal the plan; runs inside the transaction, in its thread."""
        self._staged += plan.links
        if plan.files or plan.removed or plan.originals:
            # Else it would be committed, and its pictures would stay as they are until the disk takes changes again.
            self._pictures.require_writable()
        try:
            self._pictures.stage_links(plan.links)
        except FileNotFoundError as error:
            raise Conflict(
                f"a later picture has lost its file {error.filename}: `modelkeep doctor` tells what can be done"
            ) from error
        self._facts = facts_of(plan)
        self._journal.write("migration.planned", **plan_of(plan))
        self._journal.sync()
        self.is_durable = True

    def take_back(self, reason: str) -> None:
        """Clear away what was prepared for an act that has certainly not committed."""
        self.discard()
        if self._facts:
            # An open plan would keep the journal's segments, and be rolled back at the next start.
            self._journal.note_many([("migration.failed", self._facts | {"error": reason})])

    def discard(self) -> None:
        """Delete what is staged."""
        self._pictures.discard(self._staged)


def raise_as_told(error: ModelkeepError | OSError) -> NoReturn:
    """Raise an error as whoever asked is told of it."""
    if isinstance(error, OSError):
        raise StorageError(told(error, "the pictures")) from error
    raise error


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Bring work to its end though whoever asked for it has gone."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _why_kept(missing: Mapping[str, Fingerprint | None], paths: Sequence[str]) -> dict[str, str]:
    """Return of files that count as missing why they may not; empty for those that are gone."""
    there = fingerprints_of(paths)
    found: dict[str, str] = {}
    for path in paths:
        if path in there and there[path].same_file_at_same_path(missing[path]):
            found[path] = f"its file is back at {path}: `modelkeep scan` takes note of it"
        else:
            found[path] = _untold(path, reason) if (reason := why_unseen(path)) else ""
    return found


def _untold(path: str, reason: str) -> str:
    return f"nobody can tell whether its file at {path} is gone: {reason}"


def _save(picture: BinaryIO, path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(picture, file, 1 << 20)
    except OSError as error:
        error.filename = str(path)  # of an open file the system does not say which one it was
        raise
