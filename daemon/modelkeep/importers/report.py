"""What an import tells while it runs, and what it did in the end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelkeep.domain.adopting import RecordTaking, TakenRecord
from modelkeep.domain.legacy import Refusal, TakenRows, Taking
from modelkeep.importers.base import PATHS_TOLD, SourceContent
from modelkeep.importers.legacy_text import TAKEN_AS_UNKNOWN


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: `phase` is `reading`, `images`, `writing` or `done`; `total` 0 means unknown."""

    phase: str
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import did, or in a dry run would do.

    `rows` is the number of rows in the source: each is counted once in `migrated` (it is a model now, merged ones
    included), `pending`, `updated` or `unchanged`, or it is one of `refusals`. `dropped` are those of the unchanged
    that the owner dropped since: they are taken only when that is asked for. `images_processed` is the number of
    images that came with them, `image_errors` tell of those that could not be used, `remarks` what was odd about
    rows that were taken.

    A source that is kept record by record has no rows but `records`, each of which is new (`taken`), `updated` or
    `unchanged`; `pending` are those of them whose model's file is still to be read, `orphans` those without a model.
    """

    kind: str
    source: str
    dry_run: bool
    rows: int = 0
    migrated: int = 0
    pending: int = 0
    updated: int = 0
    unchanged: int = 0
    dropped: int = 0
    images_processed: int = 0
    image_errors: list[Refusal] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    remarks: list[Refusal] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)
    """Paths in the source, of some of its rows, when not one of its files is where it says."""
    taken: int = 0
    orphans: int = 0
    records: list[TakenRecord] | None = None

    def counts(self) -> dict[str, int]:
        """Return the numbers; where the older HTTP interface has a name for one, it bears that name."""
        return {
            "rows": self.rows,
            "migrated": self.migrated,
            "pending": self.pending,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "dropped": self.dropped,
            "errors": len(self.refusals),
            "images_processed": self.images_processed,
            "image_errors": len(self.image_errors),
            **({"taken": self.taken, "orphans": self.orphans} if self.records is not None else {}),
        }

    def as_json(self) -> dict[str, object]:
        """Return the report for programs: all numbers in `counts` and beside it, then what needs the owner's eye.

        Each entry of `refusals`, `image_errors` and `remarks` is an object of `key`, `path` and `reason`, each of
        `records` one of `kind`, `key`, `taking`, `models` (hashes), and what was odd about it.
        """
        return {
            "kind": self.kind,
            "source": self.source,
            "dry_run": self.dry_run,
            **self.counts(),
            "counts": self.counts(),
            "refusals": [_as_json(refusal) for refusal in self.refusals],
            "image_errors": [_as_json(refusal) for refusal in self.image_errors],
            "remarks": [_as_json(remark) for remark in self.remarks],
            "not_found": self.not_found,
            **({"records": [_record_as_json(taken) for taken in self.records]} if self.records is not None else {}),
        }


def report_of(
    content: SourceContent,
    taken: TakenRows,
    images_processed: int,
    image_errors: Sequence[Refusal] = (),
    *,
    files_found: bool = False,
    dry_run: bool = False,
) -> ImportReport:
    """Return the report of an import.

    Args:
        content: what the source says.
        taken: what the catalogue did with its rows.
        images_processed: number of images that came with them.
        image_errors: the images that could not be used.
        files_found: whether a file lies at the path of any row.
        dry_run: whether nothing was changed.
    """
    takings = Counter(row.taking for row in taken.rows)
    told = content.told
    return ImportReport(
        content.kind,
        content.source,
        dry_run,
        rows=told.count + len(content.refusals),
        migrated=takings[Taking.MODEL] + takings[Taking.MERGED] + taken.models,
        pending=takings[Taking.PENDING] + len(taken.plain) - taken.models,
        updated=takings[Taking.UPDATED],
        unchanged=takings[Taking.UNCHANGED] + taken.unchanged,
        dropped=sum(1 for row in taken.rows if row.is_dropped) + taken.dropped,
        images_processed=images_processed,
        image_errors=list(image_errors),
        refusals=list(content.refusals),
        remarks=[*content.remarks, *sorted(told.remarks, key=_loses_nothing)],
        not_found=[] if files_found else _some_paths(content),
    )


def report_of_records(content: SourceContent, taken: Sequence[TakenRecord], *, dry_run: bool = False) -> ImportReport:
    """Return the report of an import of records."""
    takings = Counter(each.taking for each in taken)
    odd = [Refusal(each.record.kind, each.record.key, text) for each in taken for text in each.record.remarks]
    lost = [each.record for each in taken if each.is_orphan]
    named = [record.original_path or record.models[0] for record in lost if record.original_path or record.models]
    return ImportReport(
        content.kind,
        content.source,
        dry_run,
        rows=len(content.records) + len(content.refusals),
        pending=sum(1 for each in taken if each.waits and not each.contents),
        updated=takings[RecordTaking.UPDATED],
        unchanged=takings[RecordTaking.UNCHANGED],
        refusals=list(content.refusals),
        remarks=[*content.remarks, *odd],
        not_found=named[:PATHS_TOLD] if len(lost) == len(taken) else [],
        taken=takings[RecordTaking.TAKEN],
        orphans=len(lost),
        records=list(taken),
    )


def _record_as_json(taken: TakenRecord) -> dict[str, object]:
    record = taken.record
    return {
        "id": taken.id,
        "kind": record.kind,
        "key": record.key,
        "taking": taken.taking.value,
        "models": list(taken.contents),
        "orphan": taken.is_orphan,
        "remarks": list(record.remarks),
    }


def _some_paths(content: SourceContent) -> list[str]:
    """Return the paths that a source says of rows all through it, and of those that were refused."""
    refused = [refusal.path for refusal in content.refusals if refusal.path]
    return [*content.told.paths, *refused[:PATHS_TOLD]]


def _loses_nothing(remark: Refusal) -> bool:
    """Return whether a remark may stand after those that tell of something lost."""
    return remark.reason.endswith(TAKEN_AS_UNKNOWN)


def _as_json(refusal: Refusal) -> dict[str, str]:
    return {"key": refusal.key, "path": refusal.path, "reason": refusal.reason}
