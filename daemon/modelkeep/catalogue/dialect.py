"""The one place, beside `columns`, that knows which database the catalogue is in: SQLite. Nothing else asks.

A decision is atomic with its commit: what a transaction decides from what it read holds until it commits. Here the
writer begins with BEGIN IMMEDIATE, so nobody else writes between the two; a database with several writers has to run
the same functions SERIALIZABLE, and again from their beginning when it says that they could not be put in an order.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write or checkpoint in the same instant
(https://sqlite.org/wal.html, "The WAL-reset bug"): so one connection does both, and readers are `query_only`.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.sql.selectable import NamedFromClause

from modelkeep.catalogue.bare_sqlite import storable_path, uri
from modelkeep.catalogue.columns import Id, PathText
from modelkeep.catalogue.sqlite_files import LOG_PAGES
from modelkeep.domain.naming import Span

READERS = 2
LOCK_WAIT_MS = 5_000
CACHE_KIB = 16_384

ROWS = 5_000
"""Rows that are looked at together."""

_STATEMENTS = 500
"""So many are kept ready, as SQLAlchemy would for each engine."""

_SOUGHT_MAX = 10_000
"""Characters of a text that is looked for in others."""

ERRORS = (sa.exc.DatabaseError, sqlite3.DatabaseError)
BROKEN_RULES = (sa.exc.IntegrityError, sqlite3.IntegrityError)

IDS_ONCE: dict[str, Any] = {"sqlite_autoincrement": True}
"""Option of a table: an id is never given twice, not even that of a row that was deleted."""

BY_KEY: dict[str, Any] = {"sqlite_with_rowid": False}
"""Option of a table: its rows lie in the order of their key."""


class _Statements:
    """Keeps statements that were made ready, for whatever connection needs them next.

    SQLAlchemy would keep them for each engine alone, though what they are made of is one dialect: it is left out.
    """

    def __init__(self) -> None:
        self.forget()

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return what is kept of a statement, None if that is nothing."""
        return self._kept.get(key[1:])

    def __setitem__(self, key: tuple[Any, ...], statement: Any) -> None:
        self._kept[key[1:]] = statement

    def forget(self) -> None:
        """Keep none of them any longer."""
        self._kept: sa.util.LRUCache[tuple[Any, ...], Any] = sa.util.LRUCache(_STATEMENTS)


STATEMENTS = _Statements()
"""Those of this process."""


class _Compiler(SQLiteCompiler):
    """Says SQLite the hints of a query, which SQLAlchemy leaves out."""

    def get_from_hint_text(self, table: sa.FromClause, text: str | None) -> str | None:  # noqa: ARG002 - interface
        """Return what is written after a table's name."""
        return text


def index_where(name: str, condition: str) -> sa.Index:
    """Return an index over a column that holds only the rows for which it is true."""
    return sa.Index(name, condition, sqlite_where=sa.text(condition))


def index_filled(name: str, column: str) -> sa.Index:
    """Return an index over a text that holds only the rows which have one, for `is_filled`."""
    return sa.Index(name, column, sqlite_where=sa.text(f"{column} <> ''"))


def is_filled(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has a text, spelled as `index_filled` has it, which it needs."""
    return column != sa.literal_column("''")


def is_set(column: sa.Column[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that a flag is set; an index that `index_where` made of it is read in its order."""
    # SQLite takes that index only for the condition in its very words, and knows its order only by a value.
    return sa.and_(sa.literal_column(f"{column.table.name}.{column.name}"), column)


def json_member(column: str, key: str) -> str:
    """Return the SQL text of what an object of JSON text has under a key; empty when it has no such key."""
    return f"iif(json_valid({column}), coalesce(json_extract({column}, '$.{key}'), ''), '')"


def through_index(query: sa.Select[Any], table: sa.FromClause, index: str) -> sa.Select[Any]:
    """Return a query that reads a table through an index, which the planner would not choose."""
    return query.with_hint(table, f"INDEXED BY {index}")


def row_number(table: NamedFromClause) -> sa.ColumnElement[int]:
    """Return that by which indexes name the rows of a table, of one that does not lie in the order of its key."""
    return sa.literal_column(f"{table.name}.rowid", Id)


def past_indexes(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    """Return a query that reads a table in the order in which its rows lie, which the planner would not choose."""
    return query.with_hint(table, "NOT INDEXED")


def unique_where(name: str, condition: str, *columns: str) -> sa.Index:
    """Return an index by which no two rows that fulfil a condition have the same values in some columns."""
    return sa.Index(name, *columns, unique=True, sqlite_where=sa.text(condition))


def raw_rows(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a query in portions, as the database holds them: no value is made of any."""
    cursor = connection.execute(query).cursor
    while cursor is not None and (rows := cursor.fetchmany(ROWS)):
        yield rows


def changed_rows(connection: sa.Connection) -> int:
    """Return how many rows a connection has inserted, changed and deleted since it was opened."""
    return int(connection.connection.driver_connection.total_changes)  # type: ignore[union-attr]


def upsert(table: sa.Table) -> sa.Insert:
    """Return the statement that inserts rows, or writes their columns over those of the rows with the same key."""
    statement = sqlite.insert(table)
    keys = list(table.primary_key.columns.keys())
    written = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=written)


def insert_missing(table: sa.Table, columns: Collection[str] = (), chosen: sa.Select[Any] | None = None) -> sa.Insert:
    """Return the statement that inserts rows, and passes over those that are there already.

    Args:
        table: where to.
        columns: those that `chosen` fills.
        chosen: selects what is inserted; None: the rows are handed over when it is carried out.
    """
    statement = sqlite.insert(table)
    filled = statement if chosen is None else statement.from_select(list(columns), chosen)
    return filled.on_conflict_do_nothing()


def next_ids(connection: sa.Connection, table: sa.Table, count: int) -> range:
    """Return ids for so many new rows of a table with `IDS_ONCE`; they have to be used in this transaction."""
    query = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
    first = int(connection.exec_driver_sql(query, (table.name,)).scalar_one())
    return range(first, first + count)


def among(column: sa.Column[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of these values, however many.

    They are one parameter, so the statement is the same for any number of them and is made ready once.
    """
    # SQLite's JSON ends a text at a NUL character, which no path holds.
    is_path = isinstance(column.type, PathText)
    held = [storable_path(value) for value in values if "\0" not in value] if is_path else list(values)
    return column.in_(_listed("listed", sa.bindparam("listed", _json_of(held), sa.Text, unique=True)))


def among_numbers(column: sa.Column[int], parameter: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of the numbers that a named parameter holds, see `numbers`."""
    return column.in_(_listed(parameter, sa.bindparam(parameter, type_=sa.Text)))


def numbers(values: Collection[int]) -> str:
    """Return what a parameter of `among_numbers` is given."""
    return _json_of(list(values))


def _listed(name: str, parameter: sa.BindParameter[str]) -> sa.TextClause:
    # As text: what is put together of functions and columns takes longer to make than the statement to run.
    return sa.text(f"SELECT value FROM json_each(:{name})").bindparams(parameter)  # noqa: S608 - a name of ours


def _json_of(values: list[Any]) -> str:
    try:
        return orjson.dumps(values).decode()
    except TypeError:  # a number of more than 64 bits, or a surrogate
        return json.dumps(values, ensure_ascii=False)


def holds(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text has another in it, whatever the case of its letters of ASCII."""
    # A pattern ends at a NUL character, which nothing here holds, and SQLite takes none of 50,000 bytes.
    if "\0" in text or len(text) > _SOUGHT_MAX:
        return sa.false()
    return column.contains(text, autoescape=True)


def begins_with(column: sa.ColumnElement[str], digits: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text of hexadecimal digits, in lower case, begins with some."""
    # A range instead of LIKE: it uses the index.
    return sa.and_(column >= digits, column < digits + "g")


def below(column: sa.Column[str], folder: str) -> sa.ColumnElement[bool]:
    """Return the condition that a path lies below a folder."""
    # A range instead of LIKE: it uses the index and knows no wild cards.
    return within(column, Span.below(folder))


def within(column: sa.Column[str], span: Span) -> sa.ColumnElement[bool]:
    """Return the condition that a path lies in a span, as SQLite compares texts: byte by byte."""
    return sa.and_(column > span.after, column < span.before)


def gaps(column: sa.Column[str], folders: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a path lies below none of some folders: before, between and after them, in order."""
    # Each is a range of the index: NOT those of `below` would have every row read.
    found: list[sa.ColumnElement[bool]] = []
    end: sa.ColumnElement[bool] = sa.true()
    for prefix in sorted({folder.rstrip("/") for folder in folders}, key=lambda prefix: storable_path(prefix) + "/"):
        found.append(sa.and_(end, column <= prefix + "/"))
        end = sa.and_(end, column >= prefix + "0")
    return [*found, end]


def _connector(path: Path, *, mode: str, pragmas: tuple[str, ...]) -> Callable[[], sqlite3.Connection]:
    name = uri(path, mode)

    def connect() -> sqlite3.Connection:
        # isolation_level=None: the driver's own transaction handling sends no BEGIN before SELECT, DDL and SAVEPOINT.
        connection = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
        with _closed_on_failure(connection):
            for pragma in (f"busy_timeout={LOCK_WAIT_MS}", "foreign_keys=ON", f"cache_size=-{CACHE_KIB}", *pragmas):
                # To its end: a failure to change the journal mode shows after the first row.
                connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    return connect


@contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that cannot be made ready: nobody else would."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _begin_with(engine: sa.Engine, statement: str) -> sa.Engine:
    engine.dialect.statement_compiler = _Compiler

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(statement)

    engine.update_execution_options(compiled_cache=STATEMENTS)
    return engine


def writing_engine(path: Path) -> sa.Engine:
    """Return the engine of the one connection that writes; commits are durable when they return."""
    pragmas = ("journal_mode=WAL", "synchronous=FULL", f"wal_autocheckpoint={LOG_PAGES}")
    open_file = _connector(path, mode="mode=rwc", pragmas=pragmas)

    def connect() -> sqlite3.Connection:
        connection = open_file()
        with _closed_on_failure(connection):
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                # Not every file system can have a WAL. Without one a commit is the removal of a file, and lasts only
                # when the folder is synced too (https://sqlite.org/pragma.html#pragma_synchronous).
                connection.execute("PRAGMA synchronous=EXTRA")
        return connection

    return _begin_with(sa.create_engine("sqlite://", creator=connect, poolclass=StaticPool), "BEGIN IMMEDIATE")


def resting_engine(path: Path) -> sa.Engine:
    """Return an engine that reads a file which no daemon has open, and leaves nothing beside it.

    Reading a WAL database makes its -shm and -wal, which then belong to whoever read: to root, after a `sudo`, and
    the daemon could no longer write. Without a log to read there is no need for them.
    """
    log = path.with_name(f"{path.name}-wal")
    is_settled = not log.exists() or not log.stat().st_size
    return reading_engine(path, mode="mode=ro&immutable=1" if is_settled else "mode=ro")


def reading_engine(path: Path, *, mode: str = "mode=ro") -> sa.Engine:
    """Return an engine whose connections can only read a file that exists."""
    connect = _connector(path, mode=mode, pragmas=("query_only=ON",))
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=READERS, max_overflow=0)
    return _begin_with(engine, "BEGIN")


def hold_log(reader: sa.Connection) -> None:
    """Have a connection keep the log open until it is closed; it is opened by what reads first."""
    reader.exec_driver_sql("PRAGMA schema_version").fetchall()


def empty_engine(tables: sa.MetaData) -> sa.Engine:
    """Return an engine that answers from empty tables in memory."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    tables.create_all(engine)
    return engine


class Failure(Enum):
    """What kept the database from doing what it was asked, as far as somebody can help."""

    LOCKED = "locked"
    FULL = "full"
    UNWRITABLE = "unwritable"
    OTHER = "other"


def failure_of(cause: BaseException) -> Failure:
    """Return the kind of a failure of the driver."""
    # The low byte is the kind of failure (https://sqlite.org/rescode.html); the driver's own errors have none.
    kind = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Failure.LOCKED
    if kind == sqlite3.SQLITE_FULL:
        return Failure.FULL
    return Failure.UNWRITABLE if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR) else Failure.OTHER
