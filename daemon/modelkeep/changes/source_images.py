"""Bring images of source records into the models, and keep those of records without a model.

An image becomes one of a model by the same journalled act as an upload. What cannot be done now is left for the next
time: which images are wanted follows from the catalogue.
"""

import asyncio
import hashlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.owner import OwnerActs
from modelkeep.domain.source_images import UnkeptImage, WantedImage
from modelkeep.domain.values import Record, RenderedImage
from modelkeep.errors import ImageError, ModelkeepError
from modelkeep.images.store import ImageStore

_AT_ONCE = 8
"""Images that are rendered together."""

_OTHER = "there is another one"

_log = logging.getLogger(__name__)


class SourceImages:
    """Takes images of source records.

    Args:
        catalogue: knows which are wanted.
        images: renders and keeps them.
        acts: adds them to models.
        record: appends records to the journal.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        images: ImageStore,
        acts: OwnerActs,
        record: Callable[[Sequence[Record]], object],
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._acts = acts
        self._record = record
        self._unusable: set[UnkeptImage] = set()

    async def take(self) -> None:
        """Take all that are wanted, and keep all that have no model yet."""
        left: set[WantedImage] = set()
        while True:
            found = await self._catalogue.wanted_images(_AT_ONCE + len(left))
            wanted = [image for image in found if image not in left]
            if not wanted:
                break
            rendered = await asyncio.gather(*map(self._render, wanted))
            for image, result in zip(wanted, rendered, strict=True):
                if not await self._take(image, *result):
                    left.add(image)
        for unkept in await self._catalogue.unkept_images():
            if unkept not in self._unusable:
                await self._keep(unkept)

    async def _render(self, image: WantedImage) -> tuple[str, RenderedImage | ModelkeepError | OSError | None]:
        """Render an image under a name of its own; None: its file is not there."""
        migration = uuid4().hex
        try:
            if image.content is not None:
                return migration, await self._acts.render(io.BytesIO(image.content), migration)
            source = await asyncio.to_thread(self._source_of, image)
            return migration, None if source is None else await self._images.render(source, migration)
        except (ModelkeepError, OSError) as error:
            return migration, error

    def _source_of(self, image: WantedImage) -> Path | None:
        if Path(image.path).is_file():
            return Path(image.path)
        kept = self._images.pending_path(image.kept) if image.kept else None
        return kept if kept is not None and kept.is_file() else None

    async def _take(
        self, image: WantedImage, migration: str, result: RenderedImage | ModelkeepError | OSError | None
    ) -> bool:
        """Give a model an image; returns whether nothing is left to be done."""
        if isinstance(result, ImageError):
            facts = {"path": image.path, "sha256": image.sha256, "error": str(result)}
            self._record([("source.image_refused", facts)])
            await self._catalogue.note_taken(image, "", str(result))
            return True
        if not isinstance(result, RenderedImage):
            return False
        taken = await self._catalogue.taken_digests(image.sha256)
        if result.source_digest in taken or (image.is_thumbnail and taken):
            self._images.discard(result.staged.values())
            digest = result.source_digest if result.source_digest in taken else ""
            await self._done(image, digest, "" if digest else _OTHER)
            return True
        try:
            await self._acts.add_image_file(image.sha256, result, migration, f"found beside it: {image.path}")
        except (ModelkeepError, OSError) as error:
            _log.warning("the image %s waits: %s", image.path, error)
            return False
        await self._done(image, result.source_digest)
        return True

    async def _done(self, image: WantedImage, digest: str, reason: str = "") -> None:
        unneeded = await self._catalogue.note_taken(image, digest, reason)
        if unneeded:
            await asyncio.to_thread(self._images.remove_pending, unneeded)

    async def _keep(self, image: UnkeptImage) -> None:
        """Keep a copy of an image whose record has no model: its file may go before the model comes."""
        source, stem = Path(image.path), uuid4().hex
        try:
            staged = await asyncio.to_thread(self._images.stage_copy, source, stem)
            await self._images.check_copy(staged, source)
        except (ImageError, OSError):
            self._unusable.add(image)
            return
        mark = hashlib.sha256(os.fsencode(image.path)).hexdigest()[:16]
        name = f"source-{image.record_id}-{mark}{Path(staged).suffix}"
        await asyncio.to_thread(self._place, staged, name)
        await self._catalogue.keep_image(image, name)

    def _place(self, staged: str, name: str) -> None:
        self._images.place_pending(staged, name)
        self._images.sync_pending()
