"""One import of the rows of a source: what is asked, made ready and taken; `imports.py` has these steps in order."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path

from modelkeep.base.portions import in_portions
from modelkeep.changes.import_records import planned
from modelkeep.changes.import_staging import Form, ImageStaging, Need, needs_of
from modelkeep.changes.ports import ImportImages, Records, TakesRows
from modelkeep.changes.protocol import Change, Changes, Planned
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, StagedRow, Survey, TakenRow, TakenRows, Taking
from modelkeep.errors import ImportStopped, ModelkeepError
from modelkeep.importers.base import SourceContent
from modelkeep.importers.report import ImportReport, Progress, report_of

_LOOKED_AT_ONCE = 1000

CALLED_OFF = "the import was called off: it has taken everything or nothing; run it again"


class _Outdated(Exception):
    """The catalogue has changed since it was asked: it wants other forms of some images."""

    def __init__(self, needs: set[Need]) -> None:
        super().__init__(needs)
        self.needs = needs


class RowImport:
    """One import of the rows of a source, step by step.

    Args:
        catalogue: takes the rows.
        images: takes their images.
        changes: commits and publishes.
        journal: records that it has finished.
        content: what the source says.
        concurrency: how many images are made ready at a time.
        progress: called on the event loop as the import proceeds.
        again: also take rows that the owner dropped since an earlier import took them.
        looks: looks at the files of rows.
    """

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
        self._survey = Survey()
        self._on_disk: Mapping[str, Fingerprint] = {}
        """The files of rows that are taken one by one, by their paths."""
        self._files: dict[int, Fingerprint] = {}
        """Those of all others, by the numbers of the rows."""

    async def survey(self) -> None:
        """Find out what is known of the rows."""
        content = self._content
        self._survey = Survey(dict(enumerate(content.rows, start=1)))
        if content.prepared is not None:
            about = content.kind, content.source
            self._survey = await self._catalogue.survey(*about, content.prepared, again=self._again)

    async def rehearse(self, now_ms: int) -> ImportReport:
        """Return what would become of the rows; their images are looked at, and nothing is made of them."""
        await self.survey()
        await self._look_at_all()
        taken = await self._ask(self._survey.rows, now_ms, self._content.prepared)
        needs = self._images_of(needs_of(taken))
        await self._staging.check(needs, lambda done: self._progress(Progress("images", done, len(needs))))
        return await self._report(taken, len(needs) - len(self._staging.errors), dry_run=True)

    async def needs(self, now_ms: int) -> set[Need]:
        """Return what the catalogue would want of the rows' images."""
        rows = self._survey.rows
        claims = {row.claim for row in rows.values() if row.image and row.claim}
        deciding = {number: row for number, row in rows.items() if row.image or row.claim in claims}
        self._on_disk = await self._found(row.path for row in deciding.values())
        return needs_of(await self._ask(deciding, now_ms)) if deciding else set()

    async def make_ready(self, needs: set[Need]) -> None:
        """Make images ready."""
        self._asked |= needs
        rows = self._images_of(needs)
        if rows:
            self._progress(Progress("images", 0, len(rows)))
            await self._staging.stage(rows, lambda done: self._progress(Progress("images", done, len(rows))))

    def _images_of(self, needs: Set[Need]) -> dict[Need, LegacyRow]:
        asked = self._survey.rows.values() if needs else ()
        return {(row.key, form): row for row in asked for form in Form if (row.key, form) in needs}

    async def take(self, now_ms: int) -> ImportReport:
        """Take the rows into the catalogue, publish their images, and tell the journal."""
        async with self._changes.turn:
            taken = await self._take(now_ms)
        images = sum(1 for row in taken.rows if row.files or self._has_copy(row))
        report = await self._report(taken, images)
        self._journal.write("import.finished", kind=report.kind, source=report.source, **report.counts())
        self.is_finished = True
        return report

    def call_off(self) -> None:
        """Take nothing, if nothing has been written down yet."""
        self._is_called_off = True

    def discard_unused(self) -> None:
        """Delete what was made ready in vain; what a written plan names is left to whoever resumes it."""
        self._staging.discard_except(set(self._used))

    async def _look_at_all(self) -> None:
        self._on_disk = await self._found(row.path for row in self._survey.rows.values())
        self._files.clear()
        for some in in_portions(self._survey.plain, _LOOKED_AT_ONCE):
            found = await self._found(path for _, path in some)
            self._files.update((number, found[path]) for number, path in some if path in found)

    async def _found(self, paths: Iterable[str]) -> dict[str, Fingerprint]:
        # Their folders, and whose root each lies in, are found out on the event loop, which others need as well.
        found: dict[str, Fingerprint] = {}
        for some in in_portions(paths, _LOOKED_AT_ONCE):
            found |= await self._looks.files(some)
        return found

    async def _ask(self, rows: Mapping[int, LegacyRow], now_ms: int, prepared: Path | None = None) -> TakenRows:
        """Ask what would become of these rows, and with a file of prepared ones of all others in it."""
        staged = [StagedRow(row, on_disk=self._on_disk.get(row.path), number=number) for number, row in rows.items()]
        return await self._catalogue.import_rows(
            *(self._content.kind, self._content.source, staged, now_ms, lambda _: None),
            dry_run=True,
            again=self._again,
            prepared=prepared,
            on_disk=self._files,
        )

    async def _report(self, taken: TakenRows, images: int, *, dry_run: bool = False) -> ImportReport:
        errors = self._staging.errors
        are_found = bool(self._on_disk or self._files) or await self._is_any_there(self._survey.unchanged)
        return report_of(self._content, taken, images, errors, files_found=are_found, dry_run=dry_run)

    async def _is_any_there(self, paths: Iterable[str]) -> bool:
        for some in in_portions(paths, _LOOKED_AT_ONCE):
            if await self._found(some):
                return True
        return False

    async def _take(self, now_ms: int) -> TakenRows:
        while True:
            self._progress(Progress("writing", 0, self._content.told.count))
            await self._look_at_all()
            found = self._on_disk
            rows = self._survey.rows.items()
            staged = [self._staging.staged_row(row, found.get(row.path), number) for number, row in rows]
            try:
                return await self._changes.make(self._change(staged, now_ms))
            except _Outdated as outdated:  # each time it wants more of what is finite
                await self.survey()
                await self.make_ready(outdated.needs)

    def _change(self, rows: Sequence[StagedRow], now_ms: int) -> Change[TakenRows]:
        content = self._content

        def commit(finished: Sequence[str], before: Callable[[TakenRows], None]) -> Awaitable[TakenRows]:
            def place(taken: TakenRows) -> None:
                before(taken)
                self._place([row for row in taken.rows if self._has_copy(row)])

            return self._catalogue.import_rows(
                *(content.kind, content.source, rows, now_ms, place),
                again=self._again,
                finished=finished,
                prepared=content.prepared,
                on_disk=self._files,
            )

        return Change(commit, self._plan, self._used)

    def _plan(self, taken: TakenRows) -> Planned:
        """Say what is written down of what was taken; runs inside the transaction, in its thread."""
        if self._is_called_off:
            raise ImportStopped(CALLED_OFF)
        unforeseen = needs_of(taken) - self._asked
        if unforeseen:
            raise _Outdated(unforeseen)
        self._used += [file.staged for row in taken.rows for file in row.files]
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
