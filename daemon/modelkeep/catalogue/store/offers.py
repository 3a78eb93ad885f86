"""Rows whose file is gone, and files that may be it: same name, same size. Offered to the owner, never guessed."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among
from modelkeep.catalogue.store.locations import location_of
from modelkeep.catalogue.store.pending import (
    delete_pending,
    get_pending,
    get_pending_by_path,
    get_pendings,
    rows_where,
)
from modelkeep.catalogue.tables import locations, pending_import
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import LocationState, PendingImport, PendingState
from modelkeep.errors import Conflict, NotFound

_OFFERS_MAX = 5
"""Paths named in one sentence."""


def with_offers(connection: sa.Connection, parked: Sequence[Parked]) -> list[Parked]:
    """Return parked rows, those whose file is missing with the paths at which it may lie now."""
    ids = [item.pending_id for item in parked if item.state is PendingState.MISSING]
    rows = get_pendings(connection, ids) if ids else {}
    offers = find_offers(connection, list(rows.values()))
    return [
        Parked(
            item.pending_id,
            item.path,
            item.state,
            sentence(item.path, item.pending_id, offers[item.pending_id]),
            item.due_at,
            item.attempts,
        )
        if item.pending_id in offers
        else item
        for item in parked
    ]


def find_offers(connection: sa.Connection, rows: Sequence[PendingImport]) -> dict[int, list[str]]:
    """Return, for each row, the present files of its name and size."""
    sizes = sorted({row.size_bytes for row in rows if row.size_bytes > 0 and not row.knows_nothing})
    query = sa.select(locations.c.path, locations.c.size_bytes).where(
        among(locations.c.size_bytes, sizes), locations.c.state == LocationState.PRESENT
    )
    by_look: dict[tuple[str, int], list[str]] = {}
    for path, size_bytes in connection.execute(query.order_by(locations.c.path)) if sizes else ():
        by_look.setdefault((suggested_name(path), size_bytes), []).append(path)
    found = ((row.id, by_look.get((suggested_name(row.path), row.size_bytes))) for row in rows)
    return {pending_id: paths for pending_id, paths in found if paths}


def offer(connection: sa.Connection, files: Mapping[str, int]) -> list[tuple[PendingImport, str]]:
    """Offer files that nobody knew to the rows whose file is missing.

    Args:
        connection: a connection in a transaction.
        files: path and size of each.

    Returns:
        Rows and the path that was offered to each.
    """
    looks = {(suggested_name(path), size): path for path, size in files.items()}
    missing = sa.and_(
        pending_import.c.state == PendingState.MISSING, among(pending_import.c.size_bytes, set(files.values()))
    )
    rows = [row for row in rows_where(connection, missing) if (suggested_name(row.path), row.size_bytes) in looks]
    offers = find_offers(connection, rows)
    for row in rows:
        if row.id in offers:
            connection.execute(
                sa.update(pending_import)
                .where(pending_import.c.id == row.id)
                .values(last_error=sentence(row.path, row.id, offers[row.id]))
            )
    return [(row, looks[suggested_name(row.path), row.size_bytes]) for row in rows if row.id in offers]


def sentence(path: str, pending_id: int, offers: Iterable[str]) -> str:
    """Return what the owner reads about a row whose file may lie elsewhere now."""
    paths = list(offers)
    named = ", ".join(paths[:_OFFERS_MAX]) + (" …" if len(paths) > _OFFERS_MAX else "")
    many = "files" if len(paths) > 1 else "a file"
    return (
        f"there is no file at {path}; {many} of the same name and size: {named}; "
        f"if that is it: modelkeep pending resolve {pending_id} --at PATH"
    )


def relocate(connection: sa.Connection, pending_id: int, path: str, now_ms: int) -> PendingImport:
    """Give a row the path at which its file lies now, and make it due.

    Raises:
        NotFound: there is no such row.
        Conflict: another row describes the file at that path.
    """
    row = get_pending(connection, pending_id)
    if row is None:
        raise NotFound(f"there is no row {pending_id} in the queue")
    other = get_pending_by_path(connection, path)
    if other is not None and other.id != pending_id:
        if not other.knows_nothing:
            raise Conflict(f"row {other.id} describes the file at {path} already: resolve or drop it first")
        delete_pending(connection, other.id)
    location = location_of(connection, path)
    size_bytes = (
        location.fingerprint.size_bytes
        if location is not None and location.fingerprint is not None
        else row.size_bytes
    )
    moved = row.evolve(
        path=path, size_bytes=size_bytes, state=PendingState.WAITING, due_at=now_ms, last_error="", verified=False
    )
    connection.execute(
        sa.update(pending_import)
        .where(pending_import.c.id == pending_id)
        .values(
            path=path,
            size_bytes=size_bytes,
            state=moved.state,
            due_at=now_ms,
            last_error="",
            attempts=0,
            verified=False,
        )
    )
    return moved
