"""Find the database of Hikaze Model Manager v1 and read its tables as they are.

Format: `models(id, path, name, type, size_bytes, hash_hex, created_at, meta_json, extra_json)`,
`tags(id, name, color, created_at)`, `model_tags(model_id, tag_id)`; versions differ, so columns are looked up.
"""

import sqlite3
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from modelkeep.domain.legacy import LegacyTag
from modelkeep.errors import SourceError
from modelkeep.importers.legacy_text import clean, milliseconds
from modelkeep.importers.sqlite_copy import require_database, unreadable

DATABASE_NAME = "hikaze_mm.sqlite3"
PLACES = (DATABASE_NAME, f"data/{DATABASE_NAME}")
"""Where a folder may hold the database: its own folder, or the plugin's."""

TABLES = ("models", "tags", "model_tags")
REQUIRED = ("id", "path", "hash_hex")
OPTIONAL = ("name", "type", "size_bytes", "created_at", "meta_json", "extra_json")


class HikazeRecord(NamedTuple):
    """One row of `models`, each value of whatever type SQLite holds; `tags` in the order of their ids."""

    id: Any
    path: Any
    hash_hex: Any
    name: Any
    type: Any
    size_bytes: Any
    created_at: Any
    meta_json: Any
    extra_json: Any
    tags: tuple[LegacyTag, ...] = ()


def find_database(source: Path) -> Path:
    """Return the resolved path of the database that a file, its folder or the plugin's folder stands for.

    Raises:
        SourceError: there is none, or it is no SQLite database.
    """
    try:
        # SQLite names the -wal after the file that a symbolic link leads to.
        resolved = source.resolve(strict=True)
        database = _inside(resolved) if resolved.is_dir() else resolved
    except (OSError, RuntimeError) as error:  # RuntimeError: symbolic links that lead to each other
        raise unreadable(source, error if isinstance(error, OSError) else OSError(str(error))) from error
    require_database(database)
    return database


def read_records(connection: sqlite3.Connection, database: Path) -> Iterator[HikazeRecord]:
    """Yield the rows of `models` with their tags, in the order of their ids.

    Raises:
        SourceError: these are not the tables of Hikaze v1.
    """
    columns = _require_tables(connection, database)
    tags = _read_tags(connection)
    wanted = (*REQUIRED, *OPTIONAL)
    selected = ", ".join(name if name in columns else f"NULL AS {name}" for name in wanted)
    for values in _rows(connection, f"SELECT {selected} FROM models ORDER BY id"):  # noqa: S608  # own constants
        yield HikazeRecord._make((*values, tags.get(values[0], ())))


def _rows(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield what a query selects; texts are decoded one by one only where some are no UTF-8."""
    one_by_one, connection.text_factory = connection.text_factory, str
    read = 0
    try:
        for values in connection.execute(query):
            yield values
            read += 1
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode to UTF-8"):
            raise
    else:
        return
    finally:
        connection.text_factory = one_by_one
    yield from islice(connection.execute(query), read, None)


def _inside(folder: Path) -> Path:
    for place in PLACES:
        if (folder / place).exists():
            return (folder / place).resolve()
    raise SourceError(f"{folder} holds neither {' nor '.join(PLACES)}; give the path of {DATABASE_NAME}")


def _require_tables(connection: sqlite3.Connection, database: Path) -> frozenset[str]:
    """Return the columns of `models`."""
    # A view may have no end, and a virtual table is a foreign module at work: only what lies in the file is read.
    query = (
        "SELECT name, type = 'table' AND rootpage > 0 FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY 1"
    )
    kinds = {clean(name): bool(is_table) for name, is_table in connection.execute(query)}
    tables = [name for name, is_table in kinds.items() if is_table]
    for name, is_table in kinds.items():
        if not is_table and name.lower() in TABLES:
            raise SourceError(f"{database} is not a database of Hikaze v1: its {name} is no plain table")
    columns = _columns(connection, "models")
    if "pending_import" in tables or "sha256" in columns:
        raise SourceError(f"{database} is a database of Hikaze v2, not v1; that of v1 is called {DATABASE_NAME}")
    missing = [name for name in REQUIRED if name not in columns]
    if "models" not in tables:
        held = f"holds the tables {', '.join(tables)}" if tables else "holds no tables"
    elif missing:
        held = f"has a table models with {', '.join(sorted(columns))}, but without {', '.join(missing)}"
    else:
        return columns
    raise SourceError(f"{database} is not a database of Hikaze v1: it {held}; give the path of {DATABASE_NAME}")


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns; none when there is no such table."""
    return frozenset(clean(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))


def _read_tags(connection: sqlite3.Connection) -> dict[Any, tuple[LegacyTag, ...]]:
    """Return the tags by model id; one value per tag, and one for all models that bear the same."""
    columns = _columns(connection, "tags")
    if not {"id", "name"} <= columns or not {"model_id", "tag_id"} <= _columns(connection, "model_tags"):
        return {}
    selected = ", ".join(name if name in columns else "NULL" for name in ("id", "name", "color", "created_at"))
    tags = {
        tag_id: LegacyTag(clean(name).strip(), clean(color).strip(), milliseconds(created_at) or 0)
        for tag_id, name, color, created_at in connection.execute(f"SELECT {selected} FROM tags")  # noqa: S608
    }
    named = {tag_id: tag for tag_id, tag in tags.items() if tag.name}
    borne: dict[tuple[Any, ...], tuple[LegacyTag, ...]] = {}
    by_model: dict[Any, tuple[LegacyTag, ...]] = {}
    links = connection.execute("SELECT model_id, tag_id FROM model_tags ORDER BY model_id, tag_id")
    for model_id, some in groupby(links, itemgetter(0)):
        together = _borne_together(tuple([tag_id for _, tag_id in some]), named, borne)
        # A database may take ids for the same that are not, and have their links in turn.
        by_model[model_id] = by_model.get(model_id, ()) + together
    return by_model


def _borne_together(
    ids: tuple[Any, ...], named: dict[Any, LegacyTag], borne: dict[tuple[Any, ...], tuple[LegacyTag, ...]]
) -> tuple[LegacyTag, ...]:
    held = borne.get(ids)
    if held is None:
        held = borne[ids] = tuple(named[tag_id] for tag_id in ids if tag_id in named)
    return held
