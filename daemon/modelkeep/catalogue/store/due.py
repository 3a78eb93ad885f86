"""When rows of the queue are taken up: which are due now, and which are to be sooner or later."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, among_numbers, below, numbers
from modelkeep.catalogue.store.bulk import Query
from modelkeep.catalogue.store.pending import get_pendings_at
from modelkeep.catalogue.tables import pending_import, pending_model_tags, record_claims, record_targets
from modelkeep.domain.values import WATCH_SOURCE, DueRow, PendingState


def due_pending(
    connection: sa.Connection, now_ms: int, limit: int, without_ids: Collection[int] = (), *, claimed: bool = False
) -> list[DueRow]:
    """Return rows that the sweep takes up: waiting or failed or missing, and due. The longest due come first.

    Args:
        connection: to the catalogue.
        now_ms: the time.
        limit: most rows.
        without_ids: rows that are left out.
        claimed: whether rows are wanted of whose file another tool made a hash; all others come before these.
    """
    query = _DUE_CLAIMED if claimed else _DUE_UNCLAIMED
    found = query.rows(connection, now_ms=now_ms, without_ids=numbers(without_ids), most=limit)
    return [
        DueRow(row_id, path, size_bytes, attempts, image, bool(knows_nothing))
        for _, row_id, path, size_bytes, attempts, image, knows_nothing in found
    ]


_STALLED = (PendingState.FAILED, PendingState.MISSING)
_SWEPT = (PendingState.WAITING, *_STALLED)
_IS_STALLED = pending_import.c.state.in_(_STALLED)
_DUE = (
    pending_import.c.due_at,
    pending_import.c.id,
    pending_import.c.path,
    pending_import.c.size_bytes,
    pending_import.c.attempts,
    pending_import.c.image,
    sa.and_(
        pending_import.c.source == WATCH_SOURCE,
        pending_import.c.meta_json == "{}",
        pending_import.c.image == "",
        sa.not_(sa.exists().where(pending_model_tags.c.model_id == pending_import.c.id)),
    ),
)
_IS_CLAIMED = (
    sa.exists()
    .where(record_targets.c.path == pending_import.c.path, record_claims.c.record_id == record_targets.c.record_id)
    .where(record_claims.c.mtime_ns.is_not(None))
)


def _due(is_claimed: sa.ColumnElement[bool]) -> Query:
    due = sa.select(*_DUE).where(
        pending_import.c.due_at <= sa.bindparam("now_ms", type_=sa.Integer),
        sa.not_(among_numbers(pending_import.c.id, "without_ids")),
        is_claimed,
    )
    # Each state is read in the order of its index, no further than is wanted: not all that is due, nor all rows.
    query = sa.union_all(*(due.where(pending_import.c.state == state) for state in _SWEPT))
    return Query(query.order_by("due_at", "id").limit(sa.bindparam("most", type_=sa.Integer)))


_DUE_CLAIMED, _DUE_UNCLAIMED = _due(_IS_CLAIMED), _due(sa.not_(_IS_CLAIMED))


def put_off_at(connection: sa.Connection, paths: Sequence[str]) -> set[str]:
    """Return those of these paths whose row failed, or missed its file."""
    return {path for path, row in get_pendings_at(connection, paths).items() if row.state in _STALLED}


def shift_due(connection: sa.Connection, after_ms: int, shift_ms: int) -> int:
    """Move what is due after a moment by so much, because the wall clock was set; returns how many rows."""
    statement = sa.update(pending_import).where(pending_import.c.due_at > after_ms)
    return connection.execute(statement.values(due_at=pending_import.c.due_at + shift_ms)).rowcount


def wake_below(connection: sa.Connection, folder: str, now_ms: int) -> int:
    """Make the failed and missing rows below a folder due now, and those that wait for later; returns how many.

    A row that only waits is due when it comes: later, if the clock was wrong then, and was set while no daemon ran.
    """
    from_later = sa.and_(pending_import.c.state == PendingState.WAITING, pending_import.c.due_at > now_ms)
    chosen = (below(pending_import.c.path, folder), sa.or_(_IS_STALLED, from_later))
    statement = sa.update(pending_import).where(*chosen).values(due_at=now_ms)
    return connection.execute(statement).rowcount


def wait_again(connection: sa.Connection, now_ms: int, ids: Sequence[int] | None = None) -> int:
    """Make rows due now; None for every failed or missing one. Returns how many."""
    statement = sa.update(pending_import).values(state=PendingState.WAITING, due_at=now_ms, attempts=0, last_error="")
    chosen = _IS_STALLED if ids is None else among(pending_import.c.id, ids)
    return connection.execute(statement.where(chosen)).rowcount
