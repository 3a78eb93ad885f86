"""Connections to the catalogue's file: one writer in a thread of its own, and readers that cannot write.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write or checkpoint in the same instant
(https://sqlite.org/wal.html, "The WAL-reset bug"): so one connection does both, and readers are `query_only`.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool, StaticPool

from modelkeep.base.failpoints import reach
from modelkeep.errors import CatalogueError, CatalogueLocked, CatalogueUnwritable

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
LOCK_WAIT_MS = 5_000
CACHE_KIB = 16_384


def _connector(path: Path, *, mode: str, pragmas: tuple[str, ...]) -> Callable[[], sqlite3.Connection]:
    uri = f"file:{quote(os.fsencode(path))}?{mode}"

    def connect() -> sqlite3.Connection:
        # isolation_level=None: the driver's own transaction handling sends no BEGIN before SELECT, DDL and SAVEPOINT.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        for pragma in (f"busy_timeout={LOCK_WAIT_MS}", "foreign_keys=ON", f"cache_size=-{CACHE_KIB}", *pragmas):
            # To its end: a failure to change the journal mode shows after the first row.
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    return connect


def _begin_with(engine: sa.Engine, statement: str) -> sa.Engine:
    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(statement)

    return engine


def writing_engine(path: Path) -> sa.Engine:
    """Return the engine of the one connection that writes; commits are durable when they return."""
    open_file = _connector(path, mode="mode=rwc", pragmas=("journal_mode=WAL", "synchronous=FULL"))

    def connect() -> sqlite3.Connection:
        connection = open_file()
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


class Database:
    """Runs functions of a connection, each in one transaction, off the event loop.

    `write` calls are carried out one after the other in the order of the calls.

    Args:
        path: the file.
        read_only: writing fails; nothing is made when the file is not there.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._writing = resting_engine(path) if read_only else writing_engine(path)
        self._reading = resting_engine(path) if read_only else reading_engine(path)
        self._writer = ThreadPoolExecutor(1, "catalogue-writer")
        self._readers = ThreadPoolExecutor(READERS, "catalogue-reader")

    async def write(
        self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function in one transaction of the writer; committed durably when this returns."""
        return await self._run(self._writer, self._writing, function, args, kwargs)

    async def read(
        self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function in one transaction of a reader."""
        return await self._run(self._readers, self._reading, function, args, kwargs)

    def close(self) -> None:
        """Wait for what runs, then close; the writer last, so that its checkpoint is the final one."""
        self._readers.shutdown(wait=True)
        self._reading.dispose()
        self._writer.shutdown(wait=True)
        self._writing.dispose()

    async def _run(
        self,
        executor: ThreadPoolExecutor,
        engine: sa.Engine,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        is_writer = engine is self._writing

        def transact() -> T:
            with translated_errors(self.path), engine.begin() as connection:
                result = function(connection, *args, **kwargs)
                if is_writer:
                    reach("catalogue.commit.before")
            if is_writer:
                reach("catalogue.commit.after")
            return result

        return await asyncio.get_running_loop().run_in_executor(executor, transact)


class translated_errors:  # noqa: N801 - reads as a statement
    """Turn the database's own failures into `CatalogueError` sentences.

    Args:
        path: the catalogue's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        broken_rule = isinstance(error, sa.exc.IntegrityError | sqlite3.IntegrityError)
        if isinstance(error, sa.exc.DatabaseError | sqlite3.DatabaseError) and not broken_rule:
            raise told_error(error, self._path, "the catalogue cannot be read or written now") from error


def told_error(error: Exception, path: Path, what: str) -> CatalogueError:
    """Return a failure of the database as a sentence that says what would help, of the kind that fits."""
    cause = getattr(error, "orig", None) or error
    # The low byte is the kind of failure (https://sqlite.org/rescode.html); the driver's own errors have none.
    kind = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return CatalogueLocked(f"{what}: {cause}; another program holds {path}: close it")
    if kind == sqlite3.SQLITE_FULL:
        return CatalogueUnwritable(f"{what}: {cause}; make room on the disk of {path.parent}")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        advice = f"look at the disk of {path.parent}: whether it is full, may be written, or fails"
        return CatalogueUnwritable(f"{what}: {cause}; {advice}")
    return CatalogueError(f"{what}: {cause}")
