"""Import a source that is kept record by record: all of it in one transaction, and a report of each."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.ports import Records
from modelkeep.changes.protocol import Changes
from modelkeep.disk.files import fingerprints_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.adopting import Arrival, TakenRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.base import SourceContent
from modelkeep.importers.report import ImportReport, Progress, report_of_records


class RecordImports:
    """Takes in the records of sources.

    Args:
        catalogue: what is known.
        changes: commits and journals.
        journal: is told of the import as a whole.
        clock_ms: milliseconds since 1970.
        is_own: tells by its digest what the owner had written by this program: that is no news.
        looks: looks at the files of models.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        changes: Changes,
        journal: Records,
        clock_ms: Callable[[], int],
        is_own: Callable[[str], bool] = lambda _: False,
        looks: DiskLooks | None = None,
    ) -> None:
        self._is_own = is_own
        self._catalogue = catalogue
        self._adoption = Adoption(catalogue, changes, clock_ms)
        self._journal = journal
        self._clock_ms = clock_ms
        self._looks = looks or DiskLooks()

    async def rehearse(self, content: SourceContent) -> ImportReport:
        """Find out what would be done with a source, and change nothing."""
        content = self._news(content)
        arrivals = [Arrival(record) for record in content.records]
        adopted = await self._catalogue.adopt(arrivals, (), self._clock_ms(), lambda _: None, dry_run=True)
        return report_of_records(content, await self._with_files(adopted.taken), dry_run=True)

    async def take(self, content: SourceContent, progress: Callable[[Progress], None]) -> ImportReport:
        """Take a source in."""
        content = self._news(content)
        progress(Progress("writing", 0, len(content.records)))
        adopted = await self._adoption.take([Arrival(record) for record in content.records])
        return report_of_records(content, await self._with_files(adopted.taken))

    def _news(self, content: SourceContent) -> SourceContent:
        """Return what a source says without what this program wrote itself."""
        news = tuple(record for record in content.records if not self._is_own(record.digest))
        left_out = len(content.records) - len(news)
        if not left_out:
            return content
        remark = Refusal(
            "", content.source, f"files that modelkeep exported and nobody changed are no news: {left_out:,}"
        )
        return replace(content, records=news, remarks=(*content.remarks, remark))

    async def _with_files(self, taken: Sequence[TakenRecord]) -> list[TakenRecord]:
        """Return what was taken; what speaks of a file that nobody has come to yet is no orphan, but waits."""
        paths = {path for each in taken if each.is_orphan for path in each.record.models}
        found = await self._looks.found(fingerprints_of, paths)
        return [replace(each, waits=each.waits or not found.keys().isdisjoint(each.record.models)) for each in taken]
