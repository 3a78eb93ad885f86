"""What is known of SQLite by processes that load no SQLAlchemy; a part of `dialect`."""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

_BASE = 0x10FF00
_MARK = chr(0x10FF7F)
"""Bytes of names that are no UTF-8 are stored as the private-use characters U+10FF80 to U+10FFFF: SQLite text cannot
hold the surrogates by which Python spells them, and a path has to come back exactly as it was. A character of a name
that happens to be one of these, or the mark itself, is stored as the mark and a plain character."""

_UNSTORABLE = re.compile("[\udc80-\udcff\U0010ff7f-\U0010ffff]")
_STORED = re.compile("\U0010ff7f(.)|([\U0010ff80-\U0010ffff])", re.DOTALL)


def storable_path(path: str) -> str:
    """Return a path as SQLite text can hold it; no two paths become the same."""
    return path if path.isascii() else _UNSTORABLE.sub(_store, path)


def restored_path(text: str) -> str:
    """Undo `storable_path`."""
    return text if text.isascii() else _STORED.sub(_restore, text)


def _store(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(_BASE + code - 0xDC00) if code < _BASE else _MARK + chr(code - _BASE)


def _restore(match: re.Match[str]) -> str:
    return chr(_BASE + ord(match[1])) if match[1] else chr(ord(match[2]) - _BASE + 0xDC00)


def uri(path: Path, mode: str) -> str:
    """Return what SQLite opens a file by, with an option."""
    return f"file:{quote(os.fsencode(path))}?{mode}"


def read_set(path: Path, query: str, parameters: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return what a query finds in a database that others may be writing, or nothing where it cannot be asked now."""
    try:
        with closing(sqlite3.connect(uri(path, "mode=ro"), uri=True, isolation_level=None)) as connection:
            return set(connection.execute(query, parameters))
    except sqlite3.Error:
        return set()


@contextmanager
def new_tables(path: Path, tables: Mapping[str, Sequence[str]]) -> Iterator[sqlite3.Connection]:
    """Make a file that need not last, and nobody writes again once the `with` block is left.

    Args:
        path: of the file.
        tables: the columns of each; a column `number` is the key.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
            connection.execute(statement)
        for name, columns in tables.items():
            keyed = (f"{column} INTEGER PRIMARY KEY" if column == "number" else column for column in columns)
            connection.execute(f"CREATE TABLE {name} ({', '.join(keyed)})")
        yield connection
        connection.execute("COMMIT")


def insert(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Put rows into a table that has these columns."""
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608
