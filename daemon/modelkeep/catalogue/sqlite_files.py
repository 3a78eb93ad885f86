"""What is done with the files of SQLite databases, besides the transactions in them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import uri

SIDE_SUFFIXES = ("-journal", "-wal", "-shm")
"""Files of SQLite beside a database: without it they are nobody's, and must not become those of the next one."""

LOG_PAGES = 8_000
"""When the log holds so many, a commit puts them into the file: 32 MB.

A thousand rows change four thousand pages, and the next thousand most of these again: with SQLite's own number, a
thousand, each commit wrote them twice.
"""


@contextmanager
def attached(engine: sa.Engine, path: Path | None, name: str) -> Iterator[None]:
    """Have the tables of a file that nobody writes readable beside those of an engine's one connection.

    Not within a transaction: a file that one has read is let go of after it.

    Args:
        engine: with one connection.
        path: of the file; None: there is none.
        name: what comes before the names of its tables.
    """
    if path is None:
        yield
        return
    held = engine.raw_connection()
    try:
        held.cursor().execute(f"ATTACH ? AS {name}", (uri(path, "mode=ro&immutable=1"),))
        # Much may come of such a file: `write_back` is for when whoever waits has been told that it is committed.
        held.cursor().execute("PRAGMA wal_autocheckpoint = 0")
        try:
            yield
        finally:
            held.cursor().execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            held.cursor().execute(f"DETACH {name}")
    finally:
        held.close()


def write_back(engine: sa.Engine) -> None:
    """Put what the log of an engine's one connection holds into the file, as a commit does now and then."""
    held = engine.raw_connection()
    try:
        held.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        held.close()


def undo_what_was_cut_short(path: Path) -> None:
    """Roll back what a crash left where no WAL can be had: a reader may not, and refuses the file."""
    if path.with_name(f"{path.name}-journal").exists():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()


def copy_database(path: Path, copy: Path) -> None:
    """Copy a database with what its write-ahead log holds; the copy's content is durable when this returns."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA synchronous=FULL")
        source.backup(target)
