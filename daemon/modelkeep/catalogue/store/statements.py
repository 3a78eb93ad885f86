"""What was said of files with hashes that they were not read for yet; it is kept with their locations."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among
from modelkeep.catalogue.tables import locations, pending_import
from modelkeep.domain.claims import Statement
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.values import WATCH_SOURCE

_NOTHING = "[]"


def said_json(statements: Sequence[Statement]) -> str:
    """Return statements as a location holds them."""
    return json.dumps([statement.as_json() for statement in statements])


def statements_at(connection: sa.Connection, path: str) -> list[Statement]:
    """Return what was said of the file at a path and is not judged yet."""
    query = sa.select(locations.c.said_json).where(locations.c.path == path)
    held = connection.execute(query).scalar_one_or_none() or _NOTHING
    return [Statement.from_json(value) for value in json.loads(held)] if held != _NOTHING else []


def keep_statements(connection: sa.Connection, path: str, statements: Sequence[Statement]) -> None:
    """Keep what is said of the file at a location, after what was said before."""
    known = statements_at(connection, path)
    known += [statement for statement in statements if statement not in known]
    connection.execute(sa.update(locations).where(locations.c.path == path).values(said_json=said_json(known)))


def forget_statements(connection: sa.Connection, path: str) -> None:
    """Forget what was said of the file at a path: it is judged."""
    connection.execute(sa.update(locations).where(locations.c.path == path).values(said_json=_NOTHING))


def paths_with_statements(connection: sa.Connection, paths: Sequence[str]) -> set[str]:
    """Return those of these paths of whose files something was said that is not judged yet."""
    chosen = sa.and_(among(locations.c.path, paths), locations.c.said_json != _NOTHING)
    return set(connection.execute(sa.select(locations.c.path).where(chosen)).scalars())


def carry_over(connection: sa.Connection, path: str, said: Sequence[Statement], now_ms: int) -> int:
    """Keep what was said of a path with the known file that took the place there.

    That file needs no reading, but whoever said that had a file in mind that is this one now: a row of the queue,
    whose id is returned, has it judged. 0: nothing was said.
    """
    if not said:
        return 0
    keep_statements(connection, path, said)
    held = sa.select(pending_import.c.id).where(pending_import.c.path == path)
    row = connection.execute(held).scalar_one_or_none()
    if row is not None:
        return int(row)
    values = {
        "path": path,
        "name": suggested_name(path),
        "source": WATCH_SOURCE,
        "created_at": now_ms,
        "due_at": now_ms,
    }
    made = connection.execute(sa.insert(pending_import).values(values)).inserted_primary_key
    return int(made[0]) if made is not None else 0
