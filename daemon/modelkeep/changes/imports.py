"""Stage 1: take every row of a legacy source into the catalogue, with its image, in one transaction.

read → ask which images are needed → make them ready → one change (pending images are placed before it commits) →
journal. A crash before the commit leaves the catalogue as it was and staged files that nobody wants; a crash after it
leaves migrations whose plans are in the journal, from which they are resumed.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat

from modelkeep.changes.import_records import planned
from modelkeep.changes.import_staging import (
    Form,
    ImageStaging,
    Need,
    deciding_rows,
    needs_of,
    numbers_of,
)
from modelkeep.changes.ports import ImportImages, Records, TakesRows
from modelkeep.changes.protocol import Change, Changes, Planned, to_the_end
from modelkeep.changes.record_imports import RecordImports
from modelkeep.disk.files import fingerprints_in_folders
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.legacy import LegacyRow, StagedRow, TakenRow, Taking
from modelkeep.domain.values import Fingerprint
from modelkeep.errors import ImportStopped, JournalError, ModelkeepError
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.report import ImportReport, Progress, report_of

__all__ = ["ImportReport", "Progress", "StageOne"]


Reads = Callable[[Importer, SourceOptions], Awaitable[SourceContent]]


async def read_in_thread(importer: Importer, options: SourceOptions) -> SourceContent:
    """Read a source that is trusted to come to an end."""
    return await asyncio.to_thread(importer.read, options)


class StageOne:
    """Runs imports.

    Args:
        catalogue: takes the rows.
        images: takes their images.
        journal: records it.
        changes: commits and publishes.
        clock: returns the time in ms since 1970.
        concurrency: how many images are made ready at a time; 0 = one per core.
        read: reads sources.
        looks: looks at the files of rows.
        records: takes in what is kept record by record.
    """

    def __init__(
        self,
        catalogue: TakesRows,
        images: ImportImages,
        journal: Records,
        changes: Changes,
        clock: Callable[[], int],
        concurrency: int = 0,
        read: Reads = read_in_thread,
        looks: DiskLooks | None = None,
        records: RecordImports | None = None,
    ) -> None:
        self._read = read
        self._records = records
        self._looks = looks or DiskLooks()
        self._catalogue = catalogue
        self._images = images
        self._journal = journal
        self._changes = changes
        self._clock = clock
        self._concurrency = concurrency or os.cpu_count() or 1

    async def run(
        self,
        importer: Importer,
        options: SourceOptions,
        *,
        dry_run: bool = False,
        again: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> ImportReport:
        """Import a source.

        Args:
            importer: reads it.
            options: where it lies.
            dry_run: find out what would happen, and change nothing.
            again: also take rows that the owner dropped since an earlier import took them.
            progress: called on the event loop as the import proceeds.

        Raises:
            SourceError: the source cannot be read at all.
        """
        progress(Progress("reading"))
        content = await self._read(importer, options)
        try:
            return await self._run(content, progress, dry_run=dry_run, again=again)
        finally:
            if content.prepared is not None:
                await asyncio.to_thread(shutil.rmtree, content.prepared.parent, ignore_errors=True)

    async def _run(
        self, content: SourceContent, progress: Callable[[Progress], None], *, dry_run: bool, again: bool
    ) -> ImportReport:
        if self._records is not None and content.records:
            return await self._import_records(self._records, content, progress, dry_run=dry_run)
        rows = await self._catalogue.keep_places(content.kind, content.source, content.rows)
        moved = frozenset(row.key for row, read in zip(rows, content.rows, strict=True) if row is not read)
        content = replace(content, rows=tuple(rows), moved=moved)
        if dry_run:
            on_disk = await self._look(content.rows)
            taken = await self._rehearse(content, content.rows, on_disk, again=again)
            report = report_of(content, taken, len(needs_of(taken)), files_found=len(on_disk), dry_run=True)
        else:
            report = await self._import(content, progress, again=again)
        progress(Progress("done", report.rows, report.rows))
        return report

    async def _import(
        self, content: SourceContent, progress: Callable[[Progress], None], *, again: bool
    ) -> ImportReport:
        about = {"kind": content.kind, "source": content.source}
        self._journal.write("import.started", **about, rows=len(content.rows), refused=len(content.refusals))
        run = _Run(
            self._catalogue,
            self._images,
            self._changes,
            self._journal,
            content,
            self._concurrency,
            progress,
            again,
            self._looks,
        )
        try:
            deciding = deciding_rows(content.rows)
            rehearsed = await self._rehearse(content, deciding, await self._look(deciding), again=again)
            await run.make_ready(needs_of(rehearsed))
            # From here on it is short, and half of it must not be left to the next start of the daemon.
            return await to_the_end(run.take(self._clock()), run.call_off)
        except (ModelkeepError, OSError, asyncio.CancelledError) as error:
            if not run.is_finished:
                self._record_failure(about, error)
            raise
        finally:
            await asyncio.to_thread(run.discard_unused)

    async def _import_records(
        self, records: RecordImports, content: SourceContent, progress: Callable[[Progress], None], *, dry_run: bool
    ) -> ImportReport:
        if dry_run:
            report = await records.rehearse(content)
        else:
            about = {"kind": content.kind, "source": content.source}
            self._journal.write("import.started", **about, rows=len(content.records), refused=len(content.refusals))
            try:
                report = await records.take(content, progress)
            except (ModelkeepError, OSError, asyncio.CancelledError) as error:
                self._record_failure(about, error)
                raise
            self._journal.write("import.finished", **about, **report.counts())
        progress(Progress("done", report.rows, report.rows))
        return report

    def _record_failure(self, about: Mapping[str, object], error: BaseException) -> None:
        with contextlib.suppress(JournalError):  # the error itself is what gets told
            self._journal.write("import.failed", **about, error=str(error) or "it was called off")

    async def _look(self, rows: Sequence[LegacyRow]) -> dict[str, Fingerprint]:
        return await self._looks.found(fingerprints_in_folders, {row.path for row in rows})

    async def _rehearse(
        self, content: SourceContent, rows: Sequence[LegacyRow], on_disk: Mapping[str, Fingerprint], *, again: bool
    ) -> list[TakenRow]:
        """Ask what would become of rows."""
        if not rows:
            return []
        numbers, prepared = (numbers_of(content), content.prepared) if rows is content.rows else (repeat(0), None)
        staged = [
            StagedRow(row, on_disk=on_disk.get(row.path), prepared=number)
            for row, number in zip(rows, numbers, strict=False)
        ]
        return await self._catalogue.import_rows(
            *(content.kind, content.source, staged, self._clock(), lambda _: None),
            dry_run=True,
            again=again,
            prepared=prepared,
        )


CALLED_OFF = "the import was called off: it has taken everything or nothing; run it again"


class _Outdated(Exception):
    """The catalogue has changed since it was asked: it wants other forms of some images."""

    def __init__(self, needs: set[Need]) -> None:
        super().__init__(needs)
        self.needs = needs


class _Run:
    """The part of one import that changes something."""

    def __init__(
        self,
        catalogue: TakesRows,
        images: ImportImages,
        changes: Changes,
        journal: Records,
        content: SourceContent,
        concurrency: int,
        progress: Callable[[Progress], None],
        again: bool,
        looks: DiskLooks,
    ) -> None:
        self._again = again
        self._looks = looks
        self.is_finished = False
        self._is_called_off = False
        self._catalogue = catalogue
        self._images = images
        self._changes = changes
        self._journal = journal
        self._content = content
        self._progress = progress
        self._staging = ImageStaging(images, concurrency)
        self._asked: set[Need] = set()
        self._used: list[str] = []
        self._files_found = 0

    async def make_ready(self, needs: set[Need]) -> None:
        """Make images ready."""
        self._asked |= needs
        rows = {(row.key, form): row for row in self._content.rows for form in Form if (row.key, form) in needs}
        if rows:
            self._progress(Progress("images", 0, len(rows)))
            await self._staging.stage(rows, lambda done: self._progress(Progress("images", done, len(rows))))

    async def take(self, now_ms: int) -> ImportReport:
        """Take the rows into the catalogue, publish their images, and tell the journal."""
        async with self._changes.turn:
            taken = await self._take(now_ms)
        images = sum(1 for row in taken if row.files or self._has_copy(row))
        report = report_of(self._content, taken, images, self._staging.errors, files_found=self._files_found)
        self._journal.write("import.finished", kind=report.kind, source=report.source, **report.counts())
        self.is_finished = True
        return report

    def call_off(self) -> None:
        """Take nothing, if nothing has been written down yet."""
        self._is_called_off = True

    def discard_unused(self) -> None:
        """Delete what was made ready in vain; what a written plan names is left to whoever resumes it."""
        self._staging.discard_except(self._used)

    async def _take(self, now_ms: int) -> list[TakenRow]:
        rows = self._content.rows
        while True:
            self._progress(Progress("writing", 0, len(rows)))
            on_disk = await self._looks.found(fingerprints_in_folders, {row.path for row in rows})
            self._files_found = len(on_disk)
            numbers = numbers_of(self._content)
            staged = [
                self._staging.staged_row(row, on_disk.get(row.path), number)
                for row, number in zip(rows, numbers, strict=True)
            ]
            try:
                return await self._changes.make(self._change(staged, now_ms))
            except _Outdated as outdated:  # each time it wants more of what is finite
                await self.make_ready(outdated.needs)

    def _change(self, rows: Sequence[StagedRow], now_ms: int) -> Change[list[TakenRow]]:
        content = self._content

        def commit(finished: Sequence[str], before: Callable[[list[TakenRow]], None]) -> Awaitable[list[TakenRow]]:
            def place(taken: Sequence[TakenRow]) -> None:
                before(list(taken))
                self._place([row for row in taken if self._has_copy(row)])

            return self._catalogue.import_rows(
                *(content.kind, content.source, rows, now_ms, place),
                again=self._again,
                finished=finished,
                prepared=content.prepared,
            )

        return Change(commit, self._plan, self._used)

    def _plan(self, taken: Sequence[TakenRow]) -> Planned:
        """Say what is written down of what was taken; runs inside the transaction, in its thread."""
        if self._is_called_off:
            raise ImportStopped(CALLED_OFF)
        unforeseen = needs_of(taken) - self._asked
        if unforeseen:
            raise _Outdated(unforeseen)
        self._used += [file.staged for row in taken for file in row.files]
        return planned(taken, self._content.kind)

    def _has_copy(self, row: TakenRow) -> bool:
        return bool(row.pending_image and self._staging.copy_of(row.row))

    def _place(self, rows: Sequence[TakenRow]) -> None:
        placed: list[TakenRow] = []
        try:
            for row in rows:
                self._images.place_pending(self._staging.copy_of(row.row), row.pending_image)
                placed.append(row)
            if placed:
                self._images.sync_pending()
        except (ModelkeepError, OSError):
            # The image of a row that waited already may be under that name: it stays.
            for row in placed:
                if row.taking is Taking.PENDING:
                    self._images.remove_pending(row.pending_image)
            raise
