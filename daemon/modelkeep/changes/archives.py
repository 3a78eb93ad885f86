"""Take an archive in through the one commit protocol: images are staged, then all of it is one transaction."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.archive_records import planned
from modelkeep.changes.ports import Records
from modelkeep.changes.protocol import Change, Changes, Planned, to_the_end
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.archive import Archive, ArchivedModel
from modelkeep.domain.archive_taking import SOURCE, TakenArchive
from modelkeep.domain.faults import explained
from modelkeep.domain.images import QUALITIES
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import PathMap
from modelkeep.domain.values import Action, Fingerprint
from modelkeep.errors import ImageError, JournalError, ModelkeepError, StorageError
from modelkeep.images.store import ImageStore
from modelkeep.importers.archive_file import ArchiveFile
from modelkeep.importers.report import ImportReport, Progress
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX


@dataclass(slots=True)
class _Staged:
    """What was made ready: staged names by quality for each image, copies by path for rows, and what is damaged."""

    images: dict[tuple[str, int], Mapping[str, str]] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    errors: list[Refusal] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """All staged base names."""
        tiers = (name for tiers in self.images.values() for name in tiers.values())
        return [*tiers, *self.rows.values(), *self.kept.values()]


class ArchiveImports:
    """Takes archives in.

    Args:
        catalogue: what is known.
        images: the files.
        changes: commits, publishes and journals.
        journal: is told of the import as a whole.
        clock_ms: milliseconds since 1970.
        scratch: folder for what is unpacked.
        looks: looks at the files of locations.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        images: ImageStore,
        changes: Changes,
        journal: Records,
        clock_ms: Callable[[], int],
        scratch: Path,
        looks: DiskLooks | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._images = images
        self._changes = changes
        self._journal = journal
        self._clock_ms = clock_ms
        self._scratch = scratch
        self._looks = looks or DiskLooks()

    async def run(
        self, source: Path, path_map: PathMap, progress: Callable[[Progress], None], *, dry_run: bool
    ) -> ImportReport:
        """Take an archive in, or find out what that would do; returns the report.

        Raises:
            SourceError: it cannot be read.
            Busy: what is known changed meanwhile, and nothing was taken.
            StorageError: its images cannot be written.
        """
        progress(Progress("reading"))
        with await asyncio.to_thread(ArchiveFile, source) as packed:
            try:
                archive = await asyncio.to_thread(packed.read)
            except asyncio.CancelledError:
                packed.call_off()
                raise
            paths = {path_map.apply(path) for path in _paths(archive)}
            on_disk = await self._looks.found(fingerprints_of, paths)
            if dry_run:
                return await self._rehearse(packed, source, archive, path_map, on_disk)
            about = {"kind": SOURCE, "source": str(source)}
            self._journal.write("import.started", **about, rows=len(archive.models), refused=len(packed.refusals))
            try:
                report = await self._take(packed, source, archive, path_map, on_disk, progress)
            except (ModelkeepError, OSError, asyncio.CancelledError) as error:
                with suppress(JournalError):  # the error itself is what gets told
                    self._journal.write("import.failed", **about, error=str(error) or "it was called off")
                raise
            self._journal.write("import.finished", **about, **report.counts())
        progress(Progress("done", report.rows, report.rows))
        return report

    async def _rehearse(
        self,
        packed: ArchiveFile,
        source: Path,
        archive: Archive,
        path_map: PathMap,
        on_disk: Mapping[str, Fingerprint],
    ) -> ImportReport:
        wanted = await self._catalogue.wanted_of_archive(archive)
        rows = [row for row in await self._catalogue.fresh_rows_of_archive(archive, path_map) if row.image]
        kept = await self._catalogue.kept_of_archive(archive, path_map)
        taken = await self._catalogue.take_archive(
            archive, path_map, on_disk, {}, {}, {}, (), self._clock_ms(), lambda _: None, dry_run=True
        )
        images = sum(map(len, wanted.values())) + len(rows) + len(kept)
        return _report(source, archive, taken, images, (), packed.refusals, dry_run=True)

    async def _take(
        self,
        packed: ArchiveFile,
        source: Path,
        archive: Archive,
        path_map: PathMap,
        on_disk: Mapping[str, Fingerprint],
        progress: Callable[[Progress], None],
    ) -> ImportReport:
        staged = _Staged()
        try:
            await self._stage(packed, archive, path_map, staged, progress)
        except BaseException:
            await asyncio.to_thread(self._images.discard, staged.names)
            raise
        whole = _without(archive, staged)
        taken = await to_the_end(self._commit(whole, path_map, on_disk, staged))
        return _report(
            source,
            whole,
            taken,
            len(staged.images) + len(staged.rows) + len(staged.kept),
            staged.errors,
            packed.refusals,
            dry_run=False,
        )

    async def _commit(
        self, archive: Archive, path_map: PathMap, on_disk: Mapping[str, Fingerprint], staged: _Staged
    ) -> TakenArchive:
        def commit(finished: Sequence[str], before: Callable[[TakenArchive], None]) -> object:
            return self._catalogue.take_archive(
                archive,
                path_map,
                on_disk,
                staged.images,
                staged.rows,
                staged.kept,
                finished,
                self._clock_ms(),
                before,
            )

        def plan(taken: TakenArchive) -> Planned:
            self._place(taken)
            return planned(taken)

        async with self._changes.turn:
            return await self._changes.make(Change(commit, plan, staged.names))  # type: ignore[arg-type]

    def _place(self, taken: TakenArchive) -> None:
        """Give the images of rows their names: a crash before the commit leaves some that a start puts aside."""
        for name, copy in taken.pending_images.items():
            self._images.place_pending(copy, name)
        if taken.pending_images:
            self._images.sync_pending()

    async def _stage(
        self,
        packed: ArchiveFile,
        archive: Archive,
        path_map: PathMap,
        staged: _Staged,
        progress: Callable[[Progress], None],
    ) -> None:
        wanted = await self._catalogue.wanted_of_archive(archive)
        rows = [row for row in await self._catalogue.fresh_rows_of_archive(archive, path_map) if row.image]
        total, done = sum(map(len, wanted.values())) + len(rows), 0
        with _unpacked_in(self._scratch) as scratch:
            for model in archive.models:
                for seq in wanted.get(model.sha256, ()):
                    await self._stage_image(packed, model, seq, scratch, staged)
                    done += 1
                    progress(Progress("images", done, total))
            for row in rows:
                await self._stage_copy(packed, row.image, row.image_sha256, scratch, staged.rows, row.path, staged)
            for image in await self._catalogue.kept_of_archive(archive, path_map):
                await self._stage_copy(packed, image.name, image.sha256, scratch, staged.kept, image.sha256, staged)
        if staged.names:
            await asyncio.to_thread(self._images.sync_staging)

    async def _stage_image(
        self, packed: ArchiveFile, model: ArchivedModel, seq: int, scratch: Path, staged: _Staged
    ) -> None:
        (image,) = (image for image in model.images if image.seq == seq)
        tiers: dict[str, str] = {}
        stem = uuid4().hex
        try:
            for quality in QUALITIES:
                name = f"{model.sha256}_{seq}_{quality}.webp"
                data = await asyncio.to_thread(packed.image, name, image.files[quality])
                tiers[quality] = await self._staged(data, scratch / f"{stem}_{quality}.webp")
        except ImageError as error:
            await asyncio.to_thread(self._images.discard, tiers.values())
            staged.errors.append(Refusal(model.sha256, model.path, str(error)))
            return
        staged.images[model.sha256, seq] = tiers

    async def _stage_copy(
        self,
        packed: ArchiveFile,
        name: str,
        digest: str,
        scratch: Path,
        copies: dict[str, str],
        key: str,
        staged: _Staged,
    ) -> None:
        """Stage an image byte for byte, noted in `copies` under a key."""
        try:
            data = await asyncio.to_thread(packed.pending_image, name, digest)
            copies[key] = await self._staged(data, scratch / f"{uuid4().hex}{Path(name).suffix}")
        except ImageError as error:
            staged.errors.append(Refusal(key, key, str(error)))

    async def _staged(self, data: bytes, unpacked: Path) -> str:
        """Stage an image once it is known to be one, and return its base name."""
        if unpacked.suffix == ".webp" and not (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
            raise ImageError(f"{unpacked.name} is no WebP")
        try:
            await asyncio.to_thread(unpacked.write_bytes, data)
            name = await asyncio.to_thread(self._images.stage_copy, unpacked, unpacked.stem)
        except OSError as error:
            raise StorageError(explained(error, "the images")) from error
        finally:
            await asyncio.to_thread(partial(unpacked.unlink, missing_ok=True))
        await self._images.check_copy(name, unpacked)
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


def _paths(archive: Archive) -> set[str]:
    located = {location.path for model in archive.models for location in model.locations}
    return located | {row.path for row in archive.pending}


def _without(archive: Archive, staged: _Staged) -> Archive:
    """Return an archive without the images that turned out to be damaged."""
    damaged = {refusal.key for refusal in staged.errors}
    models = tuple(
        replace(
            model,
            images=tuple(image for image in model.images if (model.sha256, image.seq) in staged.images),
        )
        if model.sha256 in damaged
        else model
        for model in archive.models
    )
    return replace(archive, models=models)


def _report(
    source: Path,
    archive: Archive,
    taken: TakenArchive,
    images: int,
    errors: Sequence[Refusal],
    refusals: Sequence[Refusal],
    *,
    dry_run: bool,
) -> ImportReport:
    asked = sum(1 for model in taken.models if model.asks is not None)
    held = [
        Refusal("", path, "what the archive says otherwise of its model is not taken: another row waits there")
        for path in taken.held
    ]
    rows = len(archive.models) + len(archive.pending) + len(archive.sources)
    migrated = sum(1 for model in taken.models if model.action is not Action.CONFLICTED)
    others = rows - migrated - asked - taken.rows - taken.records
    return ImportReport(
        SOURCE,
        str(source),
        dry_run,
        rows=rows + len(refusals),
        migrated=migrated,
        pending=taken.rows + asked,
        updated=taken.records,
        unchanged=max(0, others),
        images_processed=images,
        image_errors=list(errors),
        refusals=list(refusals),
        remarks=held,
    )
