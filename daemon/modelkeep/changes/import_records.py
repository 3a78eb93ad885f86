"""What the journal records of the rows that an import took, and what is left to do after the commit."""

from collections.abc import Iterator
from itertools import chain

from modelkeep.changes.protocol import Planned
from modelkeep.domain.legacy import PlainRow, TakenRow, TakenRows, Taking
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Record


def planned(taken: TakenRows, kind: str) -> Planned:
    """Return what an import does: each row with an image to publish can be resumed by itself."""
    plans: list[Record] = []
    failed: list[Record] = []
    records: list[Record] = []
    committed: list[Committed] = []
    for row in taken.rows:
        if row.migration:
            facts = _of_model(row, kind)
            files = [dict(file.as_json()) for file in row.files]
            plans.append(("migration.planned", {**facts, "strategy": "auto", "files": files}))
            failed.append(("migration.failed", facts))
        if row.migration or row.replaced_image:
            originals = [row.replaced_image] if row.replaced_image else []
            story = list(_story(row, kind))
            committed.append(Committed(row.migration, row.sha256, row.files, originals=originals, ending=story))
        else:
            records += _story(row, kind)
    # Of a million rows no record is made before it is written.
    plain = (_of_plain(row, kind) for row in taken.plain)
    return Planned(plans, chain(plain, records), committed, failed)


def _story(row: TakenRow, kind: str) -> Iterator[Record]:
    """Yield the records with which a row's story in the journal begins; none when nothing was done with it."""
    if _is_model(row) or row.kept_as is not None:
        yield "migration.finished", _of_model(row, kind)
    if not _is_model(row) and row.taking is not Taking.UNCHANGED:
        yield "file.detected", _of_file(row, kind)
    if row.found:
        truth = {"path": row.row.path, "sha256": row.found, "claimed": row.row.claim, "found": row.found}
        yield "claim.refuted", {**truth, "pending_id": row.pending_id, **_origin(row, kind)}


def _of_plain(row: PlainRow, kind: str) -> Record:
    path, key, sha256, pending_id = row
    if pending_id:
        about = {"path": path, "pending_id": pending_id, "cause": "import", "source": kind, "source_row": key}
        return "file.detected", about
    about = {"path": path, "sha256": sha256, "action": "created", "source": kind, "source_row": key}
    return "migration.finished", about


def _is_model(row: TakenRow) -> bool:
    return row.taking in (Taking.MODEL, Taking.MERGED)


def _of_model(row: TakenRow, kind: str) -> dict[str, object]:
    return {
        **({"migration": row.migration} if row.migration else {}),
        "path": row.row.path,
        "sha256": row.sha256,
        "action": "created" if (row.kept_as or row.taking) is Taking.MODEL else "merged",
        **_origin(row, kind),
    }


def _of_file(row: TakenRow, kind: str) -> dict[str, object]:
    # A row that was updated may be a model's by now: then it has a hash and is not pending.
    about = {"pending_id": row.pending_id} if row.pending_id else {"sha256": row.sha256}
    return {"path": row.row.path, **about, "cause": "import", **_origin(row, kind)}


def _origin(row: TakenRow, kind: str) -> dict[str, object]:
    return {"source": kind, "source_row": row.row.key}
