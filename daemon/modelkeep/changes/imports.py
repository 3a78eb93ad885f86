"""Stage 1: take every row of a legacy source into the catalogue, with its image, in one transaction.

read → ask which images are needed → make them ready → one change (pending images are placed before it commits) →
journal. A crash before the commit leaves the catalogue as it was and staged files that nobody wants; a crash after it
leaves migrations whose plans are in the journal, from which they are resumed.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping

from modelkeep.changes.ports import ImportImages, Records, TakesRows
from modelkeep.changes.protocol import Changes, to_the_end
from modelkeep.changes.record_imports import RecordImports
from modelkeep.changes.row_import import RowImport
from modelkeep.disk.looks import DiskLooks
from modelkeep.errors import JournalError, ModelkeepError
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.report import ImportReport, Progress

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
        run = RowImport(
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
        report = await run.rehearse(self._clock()) if dry_run else await self._import(content, run)
        progress(Progress("done", report.rows, report.rows))
        return report

    async def _import(self, content: SourceContent, run: RowImport) -> ImportReport:
        about = {"kind": content.kind, "source": content.source}
        self._journal.write("import.started", **about, rows=content.told.count, refused=len(content.refusals))
        try:
            await run.survey()
            await run.make_ready(await run.needs(self._clock()))
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
