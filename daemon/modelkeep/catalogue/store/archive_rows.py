"""Rows of the queue out of an archive: which are new here, and how they wait."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from modelkeep.base.portions import in_portions
from modelkeep.catalogue.dialect import among, insert_missing
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.pending import get_pendings_at, insert_pending
from modelkeep.catalogue.tables import imported_rows, pending_import, pending_model_tags
from modelkeep.domain.archive import Archive, ArchivedRow, digest_of
from modelkeep.domain.archive_taking import SOURCE
from modelkeep.domain.naming import PathMap
from modelkeep.domain.values import PendingImport, PendingState

_ROW_TAG = Bulk(insert_missing(pending_model_tags))
ROWS_AT_ONCE = 500
"""Rows of an archive that are in memory together."""


def wanted_rows(connection: sa.Connection, archive: Archive, path_map: PathMap) -> list[ArchivedRow]:
    """Return the rows whose images are to be made ready, with their paths here."""
    portions = in_portions(archive.pending, ROWS_AT_ONCE)
    fresh = (row for some in portions for row in fresh_rows(connection, some, path_map))
    return [row for row in fresh if row.image]


def fresh_rows(
    connection: sa.Connection, rows: Sequence[ArchivedRow], path_map: PathMap, asked: Collection[str] = ()
) -> list[ArchivedRow]:
    """Return those rows of an archive's queue that no earlier import of an archive brought, with their paths here.

    Args:
        connection: a connection in a transaction.
        rows: of the archive.
        path_map: what the owner wants rewritten of their paths.
        asked: where this import put questions: what waits there is no reason to leave a row out for good.
    """
    mapped = [replace(row, path=path_map.apply(row.path)) for row in rows]
    held = remembered(connection, list(map(row_key, mapped)))
    waiting = get_pendings_at(connection, [row.path for row in mapped]).keys() - set(asked)
    return [row for row in mapped if held.get(row_key(row)) != digest_of(row) and row.path not in waiting]


def queue_rows(
    connection: sa.Connection,
    rows: Sequence[ArchivedRow],
    staged_rows: Mapping[str, str],
    tags: Mapping[str, int],
    on_disk: Collection[str],
    now_ms: int,
) -> dict[str, str]:
    """Put rows into the queue; returns the staged copies of their images by the names that these get.

    Args:
        connection: the writer's connection.
        rows: that are new, with their paths here.
        staged_rows: staged copies of their images, by the paths here.
        tags: the ids of their tags.
        on_disk: the paths at which a file lies now.
        now_ms: time of the transaction.
    """
    known = set(get_models(connection, [row.sha256 for row in rows if row.sha256]))
    # Where another row came meanwhile (of a question above) that one goes first.
    waiting = set(get_pendings_at(connection, [row.path for row in rows]))
    named: dict[str, str] = {}
    tagged: list[dict[str, int]] = []
    for row in rows:
        if row.path in waiting:
            continue
        waiting.add(row.path)
        pending_id = insert_pending(connection, _pending_of(row, known, is_there=row.path in on_disk, now_ms=now_ms))
        staged = staged_rows.get(row.path)
        if staged:
            name = f"{pending_id}.{row.image.rpartition('.')[2]}" if "." in row.image else str(pending_id)
            chosen = pending_import.c.id == pending_id
            connection.execute(sa.update(pending_import).where(chosen).values(image=name))
            named[name] = staged
        tagged += [{"model_id": pending_id, "tag_id": tags[tag]} for tag in row.tags]
    _ROW_TAG.run(connection, tagged)
    return named


def _pending_of(row: ArchivedRow, known: set[str], *, is_there: bool, now_ms: int) -> PendingImport:
    is_conflict = row.state == PendingState.CONFLICT and row.verified and row.sha256 in known
    waiting = PendingState.WAITING if is_there else PendingState.MISSING
    return PendingImport(
        id=0,
        path=row.path,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        **row.description,
        source=row.source or SOURCE,
        state=PendingState.CONFLICT if is_conflict else waiting,
        due_at=now_ms,
        last_error=row.last_error if is_conflict else "" if is_there else f"there is no file at {row.path}",
        verified=is_conflict,
    )


def remembered(connection: sa.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return what earlier imports of archives took under these keys, as its digest."""
    columns = imported_rows.c
    query = sa.select(columns.row_key, columns.digest).where(columns.kind == SOURCE, columns.source == "")
    return {row.row_key: row.digest for row in connection.execute(query.where(among(columns.row_key, keys)))}


def row_key(row: ArchivedRow) -> str:
    """Return under which key it is remembered that a row was taken."""
    return f"row:{row.path}"
