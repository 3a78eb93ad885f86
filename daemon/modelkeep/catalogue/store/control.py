"""Counts for the status, and what the daemon remembers of itself across a stop."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from modelkeep.catalogue.store.pending import count_by_state
from modelkeep.catalogue.tables import daemon_state, images, locations, migrations, models, tags
from modelkeep.domain.values import LocationState, PendingState

_PAUSED = "paused"


def counts(connection: sa.Connection) -> dict[str, object]:
    """Return the numbers of the status: models, images, tags, locations by state, pending rows by state."""
    states = sa.select(locations.c.state, sa.func.count()).group_by(locations.c.state)
    by_location = {row[0]: row[1] for row in connection.execute(states)}
    by_pending = count_by_state(connection)
    return {
        "models": _count(connection, models),
        "images": _count(connection, images),
        "tags": _count(connection, tags),
        "locations": {state.value: by_location.get(state, 0) for state in LocationState},
        "pending": {state.value: by_pending.get(state, 0) for state in PendingState},
    }


def is_paused(connection: sa.Connection) -> bool:
    """Tell whether the owner has paused the daemon."""
    query = sa.select(daemon_state.c.value).where(daemon_state.c.key == _PAUSED)
    return connection.execute(query).scalar_one_or_none() == "1"


def set_paused(connection: sa.Connection, paused: bool) -> None:
    """Remember whether the owner has paused the daemon."""
    row = {"key": _PAUSED, "value": "1" if paused else "0"}
    connection.execute(insert(daemon_state).values(row).on_conflict_do_update(index_elements=["key"], set_=row))


def committed_migrations(connection: sa.Connection) -> set[str]:
    """Return the ids of the migrations that are committed and not yet known to be finished."""
    return set(connection.execute(sa.select(migrations.c.id)).scalars())


def note_migration(connection: sa.Connection, migration: str, now_ms: int) -> None:
    """Put a migration's id into the transaction that carries it out: it answers "did it commit?"."""
    connection.execute(insert(migrations).values(id=migration, committed_at=now_ms).on_conflict_do_nothing())


def forget_migrations(connection: sa.Connection, finished: Sequence[str]) -> None:
    """Drop the ids of migrations whose end is durable in the journal."""
    for start in range(0, len(finished), 500):
        connection.execute(sa.delete(migrations).where(migrations.c.id.in_(finished[start : start + 500])))


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
