"""Make the images of an archive ready, before anything about it is written down: unpacked, looked at, and staged."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from modelkeep.changes.protocol import to_the_end
from modelkeep.domain.archive import ArchivedKept, ArchivedModel, ArchivedRow
from modelkeep.domain.faults import explained
from modelkeep.domain.images import QUALITIES
from modelkeep.domain.legacy import Refusal
from modelkeep.errors import ImageError, StorageError
from modelkeep.images.store import ImageStore
from modelkeep.importers.archive_file import ArchiveFile
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX


@dataclass(frozen=True, slots=True)
class WantedImages:
    """The images that an archive brings and nobody has: their numbers by content, and those of rows and orphans."""

    numbers: Mapping[str, Sequence[int]]
    rows: Sequence[ArchivedRow]
    kept: Sequence[ArchivedKept]

    def __len__(self) -> int:
        return sum(map(len, self.numbers.values())) + len(self.rows) + len(self.kept)


@dataclass(slots=True)
class Staged:
    """What was made ready: staged names by quality for each image, copies by path for rows, and what is damaged."""

    images: dict[tuple[str, int], Mapping[str, str]] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    errors: list[Refusal] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images) + len(self.rows) + len(self.kept)

    @property
    def names(self) -> list[str]:
        """All staged base names."""
        tiers = (name for tiers in self.images.values() for name in tiers.values())
        return [*tiers, *self.rows.values(), *self.kept.values()]


class ArchiveStaging:
    """Makes images of an archive ready.

    Args:
        images: where they are staged.
        packed: the archive.
        folder: in which they are unpacked.
    """

    def __init__(self, images: ImageStore, packed: ArchiveFile, folder: Path) -> None:
        self._images = images
        self._packed = packed
        self._folder = folder
        self._made: list[str] = []
        self._is_rehearsal = False
        self.staged = Staged()

    async def rehearse(
        self, models: Iterable[ArchivedModel], wanted: WantedImages, on_done: Callable[[int], None]
    ) -> None:
        """Find out by their digests which images can be made ready, and make none; arguments are as of `stage`."""
        self._is_rehearsal = True
        for done, work in enumerate(self._works(models, wanted, self._folder), start=1):
            await work
            on_done(done)

    async def stage(
        self, models: Iterable[ArchivedModel], wanted: WantedImages, on_done: Callable[[int], None]
    ) -> None:
        """Make images ready; one that is damaged is recorded as an error and left out.

        Args:
            models: of the archive.
            wanted: what is to be made ready.
            on_done: called with the number of images that are done, after each.

        Raises:
            StorageError: they cannot be written.
        """
        with _unpacked_in(self._folder) as scratch:
            for done, work in enumerate(self._works(models, wanted, scratch), start=1):
                await work
                on_done(done)
        if self._made:
            await asyncio.to_thread(self._images.sync_staging)

    def discard(self) -> None:
        """Delete whatever was made ready."""
        self._images.discard(self._made)

    def _works(
        self, models: Iterable[ArchivedModel], wanted: WantedImages, scratch: Path
    ) -> Iterator[Coroutine[Any, Any, None]]:
        staged = self.staged
        for model in models if wanted.numbers else ():
            for seq in wanted.numbers.get(model.sha256, ()):
                yield self._stage_image(model, seq, scratch)
        for row in wanted.rows:
            yield self._stage_copy(row.image, row.image_sha256, scratch, staged.rows, row.path)
        for image in wanted.kept:
            yield self._stage_copy(image.name, image.sha256, scratch, staged.kept, image.sha256)

    async def _stage_image(self, model: ArchivedModel, seq: int, scratch: Path) -> None:
        (image,) = (image for image in model.images if image.seq == seq)
        tiers: dict[str, str] = {}
        stem = uuid4().hex
        try:
            for quality in QUALITIES:
                name = f"{model.sha256}_{seq}_{quality}.webp"
                data = await asyncio.to_thread(self._packed.image, name, image.files[quality])
                tiers[quality] = await self._staged(data, scratch / f"{stem}_{quality}.webp")
        except ImageError as error:
            if not self._is_rehearsal:
                await asyncio.to_thread(self._images.discard, tiers.values())
            self.staged.errors.append(Refusal(model.sha256, model.path, str(error)))
            return
        self.staged.images[model.sha256, seq] = tiers

    async def _stage_copy(self, name: str, digest: str, scratch: Path, copies: dict[str, str], key: str) -> None:
        """Stage an image byte for byte, noted in `copies` under a key."""
        try:
            data = await asyncio.to_thread(self._packed.pending_image, name, digest)
            copies[key] = await self._staged(data, scratch / f"{uuid4().hex}{Path(name).suffix}")
        except ImageError as error:
            self.staged.errors.append(Refusal(key, key, str(error)))

    async def _staged(self, data: bytes, unpacked: Path) -> str:
        """Stage an image once it is known to be one, and return its base name."""
        if unpacked.suffix == ".webp" and not (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
            raise ImageError(f"{unpacked.name} is no WebP")
        if self._is_rehearsal:
            return unpacked.name
        # A thread cannot be called off: what it makes has to be known, or nobody would discard it.
        name = await to_the_end(asyncio.to_thread(self._copy, data, unpacked))
        await self._images.check_copy(name, unpacked)
        return name

    def _copy(self, data: bytes, unpacked: Path) -> str:
        try:
            unpacked.write_bytes(data)
            name = self._images.stage_copy(unpacked, unpacked.stem)
        except OSError as error:
            raise StorageError(explained(error, "the images")) from error
        finally:
            unpacked.unlink(missing_ok=True)
        self._made.append(name)
        return name


@contextmanager
def _unpacked_in(folder: Path) -> Iterator[Path]:
    try:
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=folder))
    except OSError as error:
        raise StorageError(explained(error, "what is unpacked")) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
