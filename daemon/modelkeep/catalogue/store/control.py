"""Counts for the status, and what the daemon remembers of itself across a stop."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.pending import count_by_state
from modelkeep.catalogue.tables import daemon_state, images, locations, migrations, models, tags
from modelkeep.domain.json_text import json_text
from modelkeep.domain.source_images import RefusedFile
from modelkeep.domain.values import JsonObject, LocationState, PendingState, TierFile

_PAUSED = "paused"
_REFUSED = "refused_sidecars"
_INSERT = Bulk(sa.insert(migrations))


def counts(connection: sa.Connection) -> dict[str, Any]:
    """Return the numbers of the status: models, images, tags, locations by state, pending rows by state."""
    states = sa.select(locations.c.state, sa.func.count()).group_by(locations.c.state)
    by_location = {row[0]: row[1] for row in connection.execute(states)}
    return {
        "models": _count(connection, models),
        "images": _count(connection, images),
        "tags": _count(connection, tags),
        "locations": {state.value: by_location.get(state, 0) for state in LocationState},
        "pending": pending_counts(connection),
    }


def pending_counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many rows of the queue are in each state."""
    by_state = count_by_state(connection)
    return {state.value: by_state.get(state, 0) for state in PendingState}


def is_paused(connection: sa.Connection) -> bool:
    """Return whether the owner has paused the daemon."""
    return _remembered(connection, _PAUSED) == "1"


def set_paused(connection: sa.Connection, paused: bool) -> None:
    """Remember whether the owner has paused the daemon."""
    _remember(connection, _PAUSED, "1" if paused else "0")


def refused_sidecars(connection: sa.Connection) -> dict[str, RefusedFile]:
    """Return by its path which files beside models could not be taken when they were last read."""
    held = _remembered(connection, _REFUSED) or "{}"
    return {path: RefusedFile(*facts) for path, facts in json.loads(held).items()}


def keep_refused_sidecars(connection: sa.Connection, files: Mapping[str, RefusedFile]) -> None:
    """Remember which files beside models could not be taken, so that no start tells of them anew."""
    _remember(connection, _REFUSED, json_text(files))


def committed_migrations(connection: sa.Connection) -> dict[str, JsonObject]:
    """Return the migrations that are committed and not yet known to be finished: id and what is left to do."""
    return {row.id: json.loads(row.plan_json) for row in connection.execute(sa.select(migrations))}


def landed_migrations(connection: sa.Connection, asked: Sequence[str]) -> set[str]:
    """Return which of these migrations are committed; the others never will be, once this transaction is.

    A commit whose fsync failed is seen by no connection that is open, yet may lie complete in SQLite's log, where the
    next start would find it. The next commit takes its place there: so whoever asks commits something.
    """
    landed = set(connection.execute(sa.select(migrations.c.id).where(among(migrations.c.id, asked))).scalars())
    question = migration_values("asked", 0, ())
    add_migrations(connection, [question])
    forget_migrations(connection, [str(question["id"])])
    return landed


def migration_values(
    migration: str,
    now_ms: int,
    files: Sequence[TierFile],
    image: str = "",
    *,
    removed: Sequence[str] = (),
    originals: Sequence[str] = (),
) -> dict[str, object]:
    """Return the row that goes into the transaction of a migration: it answers "did it commit?".

    Args:
        migration: its id.
        now_ms: time of the transaction.
        files: staged images that it publishes.
        image: base name of the pending original that it removes.
        removed: base names of published images that it removes.
        originals: further pending originals that it removes.
    """
    if not (files or image or removed or originals):
        return {"id": migration, "committed_at": now_ms, "plan_json": _NOTHING_LEFT}
    plan = {"files": [file.as_json() for file in files], "image": image}
    plan |= {name: list(names) for name, names in (("removed", removed), ("originals", originals)) if names}
    return {"id": migration, "committed_at": now_ms, "plan_json": json_text(plan)}


_NOTHING_LEFT = json_text({"files": [], "image": ""})


def add_migrations(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Put migrations into the transaction that carries them out."""
    _INSERT.run(connection, rows)


def forget_migrations(connection: sa.Connection, finished: Sequence[str]) -> None:
    """Drop the ids of migrations whose end is durable in the journal."""
    if finished:
        connection.execute(sa.delete(migrations).where(among(migrations.c.id, finished)))


def _remembered(connection: sa.Connection, key: str) -> str | None:
    query = sa.select(daemon_state.c.value).where(daemon_state.c.key == key)
    return connection.execute(query).scalar_one_or_none()


def _remember(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(upsert(daemon_state), {"key": key, "value": value})


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
