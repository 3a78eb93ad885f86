"""The queue: what is known by path and waits for its content to be hashed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, next_ids
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.import_origin import forget_pending
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.store.tags import tags_of_pending
from modelkeep.catalogue.tables import models, pending_import
from modelkeep.domain.detection import Found
from modelkeep.domain.naming import Root, first_around, innermost_first, suggested_name, suggested_type
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import WATCH_SOURCE, PendingImport, PendingState

_ROWS = RowsOf(pending_import, PendingImport)
_SELECT = sa.select(*_ROWS.columns)
_INSERT = Bulk(sa.insert(pending_import))
_NOTED = ("state", "last_error", "due_at", "attempts")
"""What is recorded on a row that is parked."""
_WAITING = ("state", "due_at", "last_error", "size_bytes")
"""What is written of a row whose file was found again."""
_WAIT = Bulk(
    sa.update(pending_import)
    .where(pending_import.c.id == sa.bindparam("b_id"))
    .values({name: sa.bindparam(f"b_{name}", type_=pending_import.c[name].type) for name in _WAITING})
)
_NOTE = Bulk(
    sa.update(pending_import)
    .where(pending_import.c.id == sa.bindparam("b_pending_id"))
    .values({name: sa.bindparam(f"b_{name}", type_=pending_import.c[name].type) for name in _NOTED})
)


def pending_values(pending: PendingImport) -> dict[str, object]:
    """Return a pending row's columns but its id; its tags are another table's."""
    values = _ROWS.row(pending)
    del values["id"]
    return values


def insert_pending(connection: sa.Connection, pending: PendingImport) -> int:
    """Insert a row under a new id, which is returned."""
    result = connection.execute(sa.insert(pending_import).values(pending_values(pending)))
    assert result.inserted_primary_key is not None  # noqa: S101 - an INSERT of one row
    return int(result.inserted_primary_key[0])


def update_pending(connection: sa.Connection, pending: PendingImport) -> None:
    """Write all columns of a row."""
    connection.execute(
        sa.update(pending_import).where(pending_import.c.id == pending.id).values(pending_values(pending))
    )


def get_pending(connection: sa.Connection, pending_id: int) -> PendingImport | None:
    """Return the row of an id."""
    return next(iter(_rows(connection, _SELECT.where(pending_import.c.id == pending_id))), None)


def get_pendings(connection: sa.Connection, ids: Sequence[int]) -> dict[int, PendingImport]:
    """Return the rows of these ids that there are."""
    return {row.id: row for row in _rows(connection, _SELECT.where(among(pending_import.c.id, ids)))}


def rows_where(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[PendingImport]:
    """Return the rows that fulfil a condition, by id."""
    return _rows(connection, _SELECT.where(condition).order_by(pending_import.c.id))


def get_pendings_at(connection: sa.Connection, paths: Sequence[str]) -> dict[str, PendingImport]:
    """Return the rows of these paths that there are."""
    return {row.path: row for row in _rows(connection, _SELECT.where(among(pending_import.c.path, paths)))}


def get_pending_by_path(connection: sa.Connection, path: str) -> PendingImport | None:
    """Return the row of a path."""
    return next(iter(_rows(connection, _SELECT.where(pending_import.c.path == path))), None)


def get_pending_imports(
    connection: sa.Connection, state: str | None = None, limit: int = 0, offset: int = 0
) -> list[PendingImport]:
    """Return rows by id.

    Args:
        connection: a connection in a transaction.
        state: only rows in this state; None for all.
        limit: at most so many; 0 for all.
        offset: leave out so many at the beginning.
    """
    return _rows(connection, _listed(_SELECT, state, limit, offset))


def pending_ids(connection: sa.Connection, state: str | None = None, limit: int = 0, offset: int = 0) -> list[int]:
    """Return the ids of the rows that `get_pending_imports` returns."""
    return list(connection.execute(_listed(sa.select(pending_import.c.id), state, limit, offset)).scalars())


def _listed(query: sa.Select[Any], state: str | None, limit: int, offset: int) -> sa.Select[Any]:
    query = query.order_by(pending_import.c.id).limit(limit or None).offset(offset)
    return query if state is None else query.where(pending_import.c.state == state)


def pending_ids_above(connection: sa.Connection, pending_id: int) -> list[int]:
    """Return the ids of the rows that came after one; ids are never used twice."""
    query = sa.select(pending_import.c.id).where(pending_import.c.id > pending_id).order_by(pending_import.c.id)
    return list(connection.execute(query).scalars())


def newest_pending_id(connection: sa.Connection) -> int:
    """Return the id of the newest row, 0 where there is none."""
    return connection.execute(sa.select(sa.func.max(pending_import.c.id))).scalar_one() or 0


def delete_pending(connection: sa.Connection, pending_id: int) -> None:
    """Delete the row of an id and its tags."""
    delete_pendings(connection, [pending_id])


def delete_pendings(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Delete the rows of these ids and their tags."""
    if ids:
        connection.execute(sa.delete(pending_import).where(among(pending_import.c.id, ids)))


def forget_unknown(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Delete those of these rows of which nothing is known but the path; returns the ids that there are not now.

    One transaction: what an import says of a path in the meantime must not go with its row.
    """
    rows = get_pendings(connection, ids)
    unknown = [row.id for row in rows.values() if row.knows_nothing]
    delete_pendings(connection, unknown)
    return {pending_id for pending_id in ids if pending_id not in rows or pending_id in unknown}


def drop_pending(connection: sa.Connection, pending_id: int) -> bool:
    """Delete a row that the owner does not want, and record that for imports to come; returns whether there was one.

    Where it was migrated meanwhile, nothing is recorded.
    """
    if get_pending(connection, pending_id) is None:
        return False
    forget_pending(connection, pending_id)
    delete_pending(connection, pending_id)
    return True


def detect(
    connection: sa.Connection, found: Sequence[Found], roots: Sequence[Root], now_ms: int
) -> list[tuple[PendingImport, bool]]:
    """Make sure that each found file has a waiting row; tells of each whether its row is new.

    A row that failed, was missing or in conflict waits again: the file has changed or come back. What is known of a
    content that it was read to be stays with the row, whatever lies there now: see `migrating`.
    """
    held = get_pendings_at(connection, [file.path for file in found])
    roots = innermost_first(roots)
    missing = {file.path: file for file in found if file.path not in held}
    ids = next_ids(connection, pending_import, len(missing))
    new = {path: _row_of(id_, file, roots, now_ms) for id_, (path, file) in zip(ids, missing.items(), strict=True)}
    _INSERT.run_columns(connection, _ROWS.columns_of(new.values()))
    answer: list[tuple[PendingImport, bool]] = []
    again: list[PendingImport] = []
    for file in found:
        row = held.get(file.path)
        if row is None:
            row = held[file.path] = new[file.path]
            answer.append((row, True))
            continue
        if file.path not in new and not _waits_for(row, file, now_ms):
            row = row.evolve(state=PendingState.WAITING, due_at=now_ms, last_error="", size_bytes=file.size_bytes)
            again.append(row)
        answer.append((row, False))
    _WAIT.run(connection, [{f"b_{name}": getattr(row, name) for name in ("id", *_WAITING)} for row in again])
    return answer


def _waits_for(row: PendingImport, file: Found, now_ms: int) -> bool:
    """Return whether a row says already that it waits for a file as it was found."""
    known = (row.state, row.last_error, row.size_bytes)
    return row.due_at <= now_ms and known == (PendingState.WAITING, "", file.size_bytes)


def park(connection: sa.Connection, parked: Sequence[Parked]) -> list[Parked]:
    """Record on rows why they were not migrated and when they are due again; returns those for which that is news.

    A row that detection made for a file that is gone again knows nothing: it is deleted. One that waits for the owner
    to decide about a content that is known goes on to do so.
    """
    rows = get_pendings(connection, [item.pending_id for item in parked])
    known = _known_contents(connection, [row.sha256 for row in rows.values() if row.verified])
    news: list[Parked] = []
    gone: list[int] = []
    noted: list[dict[str, object]] = []
    for item in parked:
        row = rows.get(item.pending_id)
        if row is not None and row.sha256 in known and item.state is PendingState.MISSING:
            reason = f"{item.last_error}; the content that it had is in the catalogue: choose a strategy"
            item = replace(item, state=PendingState.CONFLICT, last_error=reason)
        if row is None or row.path != item.path:  # gone, or renamed meanwhile: what was seen says nothing about it
            continue
        if item.state is PendingState.MISSING and row.knows_nothing:
            gone.append(row.id)
            news.append(item)
            continue
        noted.append({f"b_{name}": getattr(item, name) for name in ("pending_id", *_NOTED)})
        if (row.state, row.last_error) != (item.state, item.last_error):
            news.append(item)
    delete_pendings(connection, gone)
    _NOTE.run(connection, noted)
    return news


def _known_contents(connection: sa.Connection, hashes: Sequence[str]) -> set[str]:
    query = sa.select(models.c.sha256).where(among(models.c.sha256, hashes))
    return set(connection.execute(query).scalars()) if hashes else set()


def set_rows_missing(connection: sa.Connection, paths: Sequence[str], reason: str, due_at: int) -> None:
    """Record that no file is at these paths; rows of detection, which know nothing but the path, go."""
    rows = get_pendings_at(connection, paths).values()
    park(connection, [Parked(row.id, row.path, PendingState.MISSING, reason, due_at, row.attempts) for row in rows])


def count_by_state(connection: sa.Connection) -> Mapping[str, int]:
    """Return how many rows are in each state."""
    query = sa.select(pending_import.c.state, sa.func.count()).group_by(pending_import.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def image_names(connection: sa.Connection) -> set[str]:
    """Return the base names of all pending images."""
    query = sa.select(pending_import.c.image).where(pending_import.c.image != "")
    return set(connection.execute(query).scalars())


def _row_of(pending_id: int, file: Found, roots: Sequence[Root], now_ms: int) -> PendingImport:
    root = first_around(file.path, roots)
    return PendingImport(
        id=pending_id,
        path=file.path,
        name=suggested_name(file.path),
        type=suggested_type(file.path, root),
        size_bytes=file.size_bytes,
        created_at=now_ms,
        source=WATCH_SOURCE,
        due_at=now_ms,
    )


def _rows(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> list[PendingImport]:
    rows = _ROWS.select(connection, query)
    carried = tags_of_pending(connection, rows["id"])
    return _ROWS.values({**rows, "tags": [carried.get(pending_id, ()) for pending_id in rows["id"]]})
