"""What the owner does by hand to models and their images, as safe from a crash as a migration.

Each is a change as a migration is: files get their names, and what nothing names any more goes. So recovery brings an
act that was cut short to its end, or takes it back, without knowing what kind of act it was.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn
from uuid import uuid4

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.act_records import planned
from modelkeep.changes.protocol import Change, Changes, Planned, to_the_end
from modelkeep.disk.files import fingerprints_of, why_unseen
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.acts import ActKind, ActOrder, ActPlan, published_names, refuse_purge
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.edits import Edit
from modelkeep.domain.faults import explained
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import LocationState, RenderedImage
from modelkeep.errors import Busy, Conflict, ImageError, ModelkeepError, NotFound, StorageError
from modelkeep.images.store import ImageStore


class OwnerActs:
    """Carries out acts, one at a time.

    Args:
        catalogue: what is known.
        images: the files.
        changes: commits and publishes.
        clock_ms: milliseconds since 1970.
        looks: looks at paths.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        images: ImageStore,
        changes: Changes,
        clock_ms: Callable[[], int],
        looks: DiskLooks | None = None,
    ) -> None:
        self._looks = looks or DiskLooks()
        self._catalogue = catalogue
        self._images = images
        self._changes = changes
        self._clock_ms = clock_ms

    async def remove_image(self, sha256: str, seq: int) -> int:
        """Remove an image, let later ones move down, and return how many are left.

        Raises:
            NotFound: there is no such image.
            Busy: earlier images of the model still wait to be published.
            Conflict: a later image has lost one of its files.
        """
        plan = await self._carry_out(ActOrder(uuid4().hex, ActKind.IMAGE_REMOVED, sha256, seq))
        return len(plan.images)

    async def add_image(self, sha256: str, image: BinaryIO) -> int:
        """Add an image to a model; return its number, or that of the same image when it is there already.

        One whose files were lost gets them back.

        Raises:
            NotFound: there is no such model.
            ImageError: it is no image, or cannot be used.
            Busy: earlier images of the model still wait to be published.
        """
        seq = (await self._add_image(sha256, image, by_owner=True)).seq
        assert seq is not None  # noqa: S101 - an upload has one
        return seq

    async def add_header_image(self, sha256: str, image: BinaryIO) -> None:
        """Add the image that is in the header of a model's file, if the model has none.

        Raises:
            NotFound: there is no such model.
            ImageError: it is no image, or cannot be used.
            Busy: earlier images of the model still wait to be published.
        """
        await self._add_image(sha256, image, by_owner=False)

    async def _add_image(self, sha256: str, image: BinaryIO, *, by_owner: bool) -> ActPlan:
        await self._known(sha256)
        migration = uuid4().hex
        rendered = await self.render(image, migration)
        return await self._carry_out(
            ActOrder(migration, ActKind.IMAGE_UPLOADED, sha256, image=rendered, by_owner=by_owner)
        )

    async def add_image_file(self, sha256: str, image: RenderedImage, migration: str, cause: str) -> None:
        """Add an image to a model that was rendered under the name of this migration.

        Raises:
            NotFound: there is no such model.
            Busy: earlier images of the model still wait to be published.
        """
        order = ActOrder(migration, ActKind.IMAGE_UPLOADED, sha256, image=image, cause=cause)
        await self._carry_out(order)

    async def purge(self, sha256: str) -> ActPlan:
        """Forget a model with everything that belongs to it.

        Raises:
            NotFound: there is no such model.
            Conflict: a file of it is there, or may be.
            Busy: its images still wait to be published.
        """
        known = await self._known(sha256)
        refuse_purge(known)
        await self._refuse_returned(known)
        return await self._carry_out(ActOrder(uuid4().hex, ActKind.PURGED, sha256))

    async def edit(self, sha256: str, edit: Edit, is_current: Callable[[ModelDetails], bool]) -> ActPlan:
        """Change what a model says.

        Args:
            sha256: the model.
            edit: what it shall say.
            is_current: tells whether it is still as whoever asks knows it.

        Raises:
            NotFound: there is no such model, or no such tag.
            Outdated: it is another by now.
            Conflict: it has no file at the path that shall be its main one.
            OutsideRoots: no root contains that path.
        """
        order = ActOrder(uuid4().hex, ActKind.EDITED, sha256, edit=edit, is_current=is_current)
        return await self._carry_out(order)

    async def inherit(self, sha256: str, origin: str, *, by_owner: bool = True) -> ActPlan:
        """Have a model take over what is known of another content with the same tensors.

        Args:
            sha256: the model.
            origin: the other one, which keeps all that is known of it.
            by_owner: whether he asked for it; else nothing is done where he has to decide.

        Raises:
            NotFound: there is no such model.
            Conflict: they have not the same tensors.
            Busy: images of one of them still wait to be published.
        """
        return await self._carry_out(
            ActOrder(uuid4().hex, ActKind.INHERITED, sha256, origin=origin, by_owner=by_owner)
        )

    async def _known(self, sha256: str) -> ModelDetails:
        known = await self._catalogue.model(sha256)
        if known is None:
            raise NotFound(f"there is no model {sha256}")
        return known

    async def _refuse_returned(self, known: ModelDetails) -> None:
        """Raise Conflict when a file that counts as missing is back, or nobody can tell."""
        missing = {
            location.path: location.fingerprint
            for location in known.locations
            if location.state is LocationState.MISSING
        }
        found = await self._looks.found(partial(_why_kept, missing), missing)
        for path in missing:
            reason = found.get(path, _untold(path, "its disk or server does not answer"))
            if reason:
                raise Conflict(reason)

    async def render(self, image: BinaryIO, migration: str) -> RenderedImage:
        """Render an image that lies nowhere yet, under the name of a migration.

        Raises:
            ImageError: it is no image, or cannot be used.
            StorageError: it cannot be written.
        """
        source = self._images.staged_path(f"{migration}.upload")
        try:
            await asyncio.to_thread(_save, image, source)
            return await self._images.render(source, migration)
        except ImageError as error:
            raise type(error)(str(error).replace(source.name, "what was sent")) from error
        except OSError as error:
            raise_explained(error)
        finally:
            self._images.discard([source.name])

    async def _carry_out(self, order: ActOrder) -> ActPlan:
        return await to_the_end(self._in_turn(order))

    async def _in_turn(self, order: ActOrder) -> ActPlan:
        staged = list(order.image.staged.values()) if order.image else []
        async with self._changes.turn:
            try:
                if order.kind is not ActKind.EDITED:  # which concerns no image
                    await asyncio.to_thread(self._require_published, order.sha256)
                if order.origin:
                    await asyncio.to_thread(self._require_published, order.origin)
                if order.kind in (ActKind.IMAGE_UPLOADED, ActKind.INHERITED):
                    order = await self._knowing_lost(order)
            except (ModelkeepError, OSError) as error:
                self._images.discard(staged)
                raise_explained(error)
            try:
                return await self._changes.make(self._change(order, staged))
            except (ModelkeepError, OSError) as error:
                raise_explained(error)

    async def _knowing_lost(self, order: ActOrder) -> ActOrder:
        """Return the order with the files that are lost of the images that it is about."""
        names = published_names((await self._known(order.origin or order.sha256)).images)
        return replace(order, lost=frozenset(await asyncio.to_thread(self._images.lost_files, names)))

    def _require_published(self, sha256: str) -> None:
        """Have all that is committed published: what follows is staged from published files."""
        publisher = self._changes.publisher
        publisher.publish()
        if publisher.waits_for(sha256):
            raise Busy("images of this model wait to be published: `modelkeep status` shows why; try again later")

    def _change(self, order: ActOrder, staged: list[str]) -> Change[ActPlan]:
        def plan(act: ActPlan) -> Planned:
            staged.extend(act.links)
            self._stage(act)
            return planned(act)

        return Change(
            lambda finished, before: self._catalogue.act(order, finished, self._clock_ms(), before), plan, staged
        )

    def _stage(self, plan: ActPlan) -> None:
        """Stage what will be published; runs inside the transaction, in its thread."""
        if plan.files or plan.removed or plan.originals:
            # Else it would be committed, and its images would stay as they are until the disk takes changes again.
            self._images.require_writable()
        try:
            self._images.stage_links(plan.links)
        except FileNotFoundError as error:
            raise Conflict(
                f"a later image has lost its file {error.filename}: `modelkeep doctor` shows what can be done"
            ) from error


def raise_explained(error: ModelkeepError | OSError) -> NoReturn:
    """Raise an error as whoever asked is told of it."""
    if isinstance(error, OSError):
        raise StorageError(explained(error, "the images")) from error
    raise error


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
    return f"it is unknown whether its file at {path} is gone: {reason}"


def _save(image: BinaryIO, path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(image, file, 1 << 20)
    except OSError as error:
        error.filename = str(path)  # of an open file the system does not say which one it was
        raise
