"""Open the private copy of a foreign database so that nothing in it can make SQLite do more than read its tables.

What SQLite advises for a file of unknown origin is at https://www.sqlite.org/security.html; what its schema says is
the foreign program's word, so the rules here do not rely on it.
"""

import sqlite3
import time
from pathlib import Path

VALUE_BYTES_MAX = 32 * 1024 * 1024
"""The largest value, and the largest row, that is read."""

SECONDS_MAX = 300.0
"""A database that takes longer to read is refused: a hundred thousand rows take less than one."""

_INSTRUCTIONS_BETWEEN_LOOKS = 100_000
_READABLE_PRAGMAS = frozenset({"quick_check", "table_info"})


def open_guarded(
    copy: Path, seconds_max: float = SECONDS_MAX, *, has_computed_columns: bool = False
) -> sqlite3.Connection:
    """Open a copy for reading its tables, and nothing else; text that is no UTF-8 comes as surrogate escapes.

    Args:
        copy: a database in a folder of its own, without a rollback journal.
        seconds_max: what runs longer fails with `sqlite3.OperationalError` ("interrupted").
        has_computed_columns: whether its own program computes columns with functions; those are then SQLite's own, of
            which none reaches beyond its arguments, for we add none and extensions cannot be loaded.
    """
    connection = sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    # Older versions of SQLite count JSON functions among those that a schema may not use unless it is trusted.
    trusted = f"trusted_schema = {'ON' if has_computed_columns else 'OFF'}"
    for pragma in (trusted, "cell_size_check = ON", "ignore_check_constraints = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    _bound(connection)
    _make_defensive(connection)
    end = time.monotonic() + seconds_max
    connection.set_progress_handler(lambda: int(time.monotonic() > end), _INSTRUCTIONS_BETWEEN_LOOKS)
    connection.set_authorizer(_authorise)
    return connection


def roll_back(copy: Path) -> None:
    """Have SQLite undo the transaction that the journal beside a copy tells of; the journal has been disarmed."""
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        # Needs the database and not its schema: nothing foreign is looked at that could ask for anything.
        connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()


def _bound(connection: sqlite3.Connection) -> None:
    """Bound what one step can take: SQLite looks at the time only between steps."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 64)
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)


def _make_defensive(connection: sqlite3.Connection) -> None:
    """Switch on what Python 3.12 can switch: no writing of shadow tables, of the schema, or of the file as such."""
    configure = getattr(connection, "setconfig", None)
    if configure is not None:
        configure(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # type: ignore[attr-defined, unused-ignore]
        configure(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)  # type: ignore[attr-defined, unused-ignore]
        configure(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)  # type: ignore[attr-defined, unused-ignore]


def _authorise(action: int, first: str | None, _second: str | None, _database: str | None, source: str | None) -> int:
    """Allow our own statements to read tables; `source` is the view or trigger that wants something instead."""
    is_reading = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
    is_asking = action == sqlite3.SQLITE_PRAGMA and first in _READABLE_PRAGMAS
    return sqlite3.SQLITE_OK if source is None and (is_reading or is_asking) else sqlite3.SQLITE_DENY
