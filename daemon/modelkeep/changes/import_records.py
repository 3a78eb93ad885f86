"""What the journal is told of the rows that an import took."""

from collections.abc import Iterable, Iterator

from modelkeep.domain.legacy import TakenRow, Taking
from modelkeep.domain.values import Record


def plans(taken: Iterable[TakenRow], kind: str) -> Iterator[Record]:
    """Yield the plan of every row whose picture has to be published, from which it can be resumed."""
    for row in taken:
        if row.migration:
            files = [dict(file.as_json()) for file in row.files]
            yield "migration.planned", {**_of_model(row, kind), "strategy": "auto", "files": files}


def stories(taken: Iterable[TakenRow], kind: str) -> Iterator[Record]:
    """Yield one record for every row that something was done with: where its story in the journal begins."""
    for row in taken:
        if _is_model(row) or row.kept_as is not None:
            yield "migration.finished", _of_model(row, kind)
        if not _is_model(row) and row.taking is not Taking.UNCHANGED:
            yield "file.detected", _of_file(row, kind)
        if row.found:
            truth = {"path": row.row.path, "sha256": row.found, "claimed": row.row.claim, "found": row.found}
            yield "claim.refuted", {**truth, "pending_id": row.pending_id, **_origin(row, kind)}


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
