"""Read plain tables of a foreign database, whatever columns its version has."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelkeep.errors import SourceError
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.sqlite_copy import require_database, unreadable

ROWS_MAX = 1_000_000
"""Rows of one table that are read; a library of models has thousands."""

Tables = Mapping[str, frozenset[str]]
"""The columns of each table that lies in the file itself."""


def tables_of(connection: sqlite3.Connection) -> Tables:
    """Return the plain tables and their columns; views and virtual tables are left out, for they run foreign code."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    names = [name for (name,) in connection.execute(query).fetchall() if isinstance(name, str)]
    return {name: _columns(connection, name) for name in names if name.isidentifier()}


def rows_of(
    connection: sqlite3.Connection, tables: Tables, table: str, names: Sequence[str], database: Path
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as objects of the named columns; None stands for a column that it has not.

    Args:
        connection: to the guarded copy.
        tables: its plain tables.
        table: one of them.
        names: columns that are wanted; own constants, never foreign words.
        database: the original, for the error's sentence.

    Raises:
        SourceError: it has more rows than any library.
    """
    known = tables[table]
    selected = ", ".join(f'"{name}"' if name in known else "NULL" for name in names)
    found = connection.execute(f'SELECT {selected} FROM "{table}" ORDER BY rowid')  # noqa: S608  # own constants
    for number, values in enumerate(found):
        if number >= ROWS_MAX:
            raise SourceError(f"{database} has more than {ROWS_MAX:,} rows in {table}; check what it is")
        yield dict(zip(names, values, strict=True))


def resolved_database(path: Path) -> Path:
    """Return where a database really lies: SQLite names the files beside it after what a link leads to.

    Raises:
        SourceError: there is none, or it is no SQLite database.
    """
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: symbolic links that lead to each other
        raise unreadable(path, error if isinstance(error, OSError) else OSError(str(error))) from error
    require_database(resolved)
    return resolved


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(clean(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))
