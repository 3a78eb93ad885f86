"""Take an archive in through the one commit protocol: images are staged, then all of it is one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelkeep.base.portions import in_portions
from modelkeep.base.set_aside import SetAside
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.archive_records import planned
from modelkeep.changes.archive_staging import ArchiveStaging, Staged, WantedImages
from modelkeep.changes.ports import Records
from modelkeep.changes.protocol import Change, Changes, Planned, to_the_end
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.archive import Archive, ArchivedModel, ArchivedRow
from modelkeep.domain.archive_taking import SOURCE, TakenArchive
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import PathMap
from modelkeep.domain.values import Action
from modelkeep.errors import JournalError, ModelkeepError
from modelkeep.images.store import ImageStore
from modelkeep.importers.archive_file import ArchiveFile, Reread
from modelkeep.importers.report import ImportReport, Progress

_PATHS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Read:
    """An archive that was read, its paths as they are to be rewritten, and the files that lie at them here."""

    source: Path
    packed: ArchiveFile
    archive: Archive
    path_map: PathMap
    on_disk: Mapping[str, Fingerprint]


class ArchiveImports:
    """Takes archives in.

    Args:
        catalogue: what is known.
        images: the files.
        changes: commits, publishes and journals.
        journal: is told of the import as a whole.
        clock_ms: milliseconds since 1970.
        scratch: folder for what is unpacked, and for what waits to be read again.
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
            paths = SetAside[str](self._scratch)
            try:
                archive = await asyncio.to_thread(_read, packed, path_map, paths)
            except asyncio.CancelledError:
                packed.call_off()
                raise
            read = _Read(source, packed, archive, path_map, await self._found(paths))
            if dry_run:
                return await self._rehearse(read, progress)
            about = {"kind": SOURCE, "source": str(source)}
            self._journal.write("import.started", **about, rows=len(archive.models), refused=len(packed.refusals))
            try:
                report = await self._take(read, progress)
            except (ModelkeepError, OSError, asyncio.CancelledError) as error:
                with suppress(JournalError):  # the error itself is what gets told
                    self._journal.write("import.failed", **about, error=str(error) or "it was called off")
                raise
            self._journal.write("import.finished", **about, **report.counts())
        progress(Progress("done", report.rows, report.rows))
        return report

    async def _found(self, paths: Iterable[str]) -> dict[str, Fingerprint]:
        found: dict[str, Fingerprint] = {}
        for some in in_portions(paths, _PATHS_AT_ONCE):
            found |= await self._looks.found(fingerprints_of, some)
        return found

    async def _rehearse(self, read: _Read, progress: Callable[[Progress], None]) -> ImportReport:
        wanted = await self._wanted(read)
        staging = ArchiveStaging(self._images, read.packed, self._scratch)
        await staging.rehearse(
            read.archive.models, wanted, lambda done: progress(Progress("images", done, len(wanted)))
        )
        whole = replace(read, archive=_without_damaged(read.archive, staging.staged))
        known = whole.archive, read.path_map, read.on_disk
        taken = await self._catalogue.take_archive(
            *known, {}, {}, {}, (), self._clock_ms(), lambda _: None, SetAside(self._scratch), dry_run=True
        )
        return _report(whole, taken, len(staging.staged), staging.staged.errors, dry_run=True)

    async def _take(self, read: _Read, progress: Callable[[Progress], None]) -> ImportReport:
        wanted = await self._wanted(read)
        staging = ArchiveStaging(self._images, read.packed, self._scratch)
        try:
            await staging.stage(
                read.archive.models, wanted, lambda done: progress(Progress("images", done, len(wanted)))
            )
        except BaseException:
            await asyncio.to_thread(staging.discard)
            raise
        whole = replace(read, archive=_without_damaged(read.archive, staging.staged))
        taken = await to_the_end(self._commit(whole, staging.staged))
        return _report(whole, taken, len(staging.staged), staging.staged.errors)

    async def _wanted(self, read: _Read) -> WantedImages:
        return WantedImages(
            await self._catalogue.wanted_of_archive(read.archive),
            await self._catalogue.rows_of_archive(read.archive, read.path_map),
            await self._catalogue.kept_of_archive(read.archive, read.path_map),
        )

    async def _commit(self, read: _Read, staged: Staged) -> TakenArchive:
        def commit(finished: Sequence[str], before: Callable[[TakenArchive], None]) -> Awaitable[TakenArchive]:
            return self._catalogue.take_archive(
                *(read.archive, read.path_map, read.on_disk),
                *(staged.images, staged.rows, staged.kept),
                *(finished, self._clock_ms()),
                before,
                SetAside(self._scratch),
            )

        def plan(taken: TakenArchive) -> Planned:
            self._place(taken)
            return planned(taken)

        async with self._changes.turn:
            return await self._changes.make(Change(commit, plan, staged.names))

    def _place(self, taken: TakenArchive) -> None:
        """Give the images of rows their names: a crash before the commit leaves some that a start puts aside."""
        for name, copy in taken.pending_images.items():
            self._images.place_pending(copy, name)
        if taken.pending_images:
            self._images.sync_pending()


def _read(packed: ArchiveFile, path_map: PathMap, paths: SetAside[str]) -> Archive:
    """Return what an archive says, and set the paths aside at which its files may lie here."""
    seen: list[str] = []

    def see(value: ArchivedModel | ArchivedRow) -> None:
        located = value.locations if isinstance(value, ArchivedModel) else (value,)
        seen.extend(path_map.apply(each.path) for each in located)
        if len(seen) >= _PATHS_AT_ONCE:
            paths.extend(seen)
            seen.clear()

    archive = packed.read(see)
    paths.extend(seen)
    return archive


def _without_damaged(archive: Archive, staged: Staged) -> Archive:
    """Return an archive without the images that turned out to be damaged."""
    damaged = {refusal.key for refusal in staged.errors}

    def whole(model: ArchivedModel) -> ArchivedModel:
        if model.sha256 not in damaged:
            return model
        images = tuple(image for image in model.images if (model.sha256, image.seq) in staged.images)
        return replace(model, images=images)

    return replace(archive, models=Reread(lambda: map(whole, archive.models), len(archive.models)))


def _report(
    read: _Read, taken: TakenArchive, images: int, errors: Sequence[Refusal] = (), *, dry_run: bool = False
) -> ImportReport:
    held = [
        Refusal("", path, "what the archive says otherwise of its model is not taken: another row waits there")
        for path in taken.held
    ]
    archive, refusals = read.archive, read.packed.refusals
    rows = len(archive.models) + len(archive.pending) + len(archive.sources)
    migrated = sum(1 for model in taken.models if model.action is not Action.CONFLICTED)
    others = rows - migrated - taken.asked - taken.rows - taken.records
    return ImportReport(
        SOURCE,
        str(read.source),
        dry_run,
        rows=rows + len(refusals),
        migrated=migrated,
        pending=taken.rows + taken.asked,
        updated=taken.records,
        unchanged=max(0, others),
        images_processed=images,
        image_errors=list(errors),
        refusals=refusals,
        remarks=held,
    )
