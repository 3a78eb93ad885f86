"""The catalogue's transactions: one writer in a thread of its own, and readers that cannot write."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from modelkeep.base.failpoints import reach
from modelkeep.base.threads import Threads
from modelkeep.catalogue.dialect import (
    BROKEN_RULES,
    ERRORS,
    READERS,
    STATEMENTS,
    Failure,
    changed_rows,
    empty_engine,
    failure_of,
    hold_log,
    reading_engine,
    resting_engine,
    writing_engine,
)
from modelkeep.catalogue.sqlite_files import attached, write_back
from modelkeep.catalogue.tables import metadata
from modelkeep.errors import CatalogueError, CatalogueLocked, CatalogueUnwritable

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """Runs functions of a connection, each in one transaction, off the event loop.

    `write` calls are carried out one after the other in the order of the calls.

    Args:
        path: the file.
        read_only: writing fails; nothing is made when the file is not there.
        or_empty: a file that is not there is read as if its tables were empty.
        is_resting: nobody writes it meanwhile; asked only where it is read.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, or_empty: bool = False, is_resting: bool = True
    ) -> None:
        self.path = path
        self.changes = 0
        """Grows with each transaction that may have changed a row."""
        self.transactions = 0
        """Grows with each transaction."""
        self._identity: tuple[int, int] | None = None
        self._open_reading = resting_engine if read_only and is_resting else reading_engine
        self._open_writing = self._open_reading if read_only else writing_engine
        self._writing = self._open_writing(path)
        self._reading = self._open_reading(path)
        if or_empty and not path.exists():
            self._reading = empty_engine(metadata)
        self._writer = Threads("catalogue-writer", 1)
        self._readers = Threads("catalogue-reader", READERS)

    async def write(
        self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function in one transaction of the writer; committed durably when this returns."""
        return await self._run(self._writer, function, args, kwargs)

    async def write_from(
        self,
        path: Path | None,
        name: str,
        function: Callable[Concatenate[sa.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a function as `write` does, with the tables of a file beside ours.

        Args:
            path: of the file, which nobody writes; None: there is none.
            name: the schema of its tables.
            function: called with the connection, and with what follows.
        """

        result = await self._run(self._writer, function, args, kwargs, (path, name))
        if path is not None:
            with suppress(RuntimeError):  # it has been closed meanwhile, and that does the same
                self._writer.submit(self._write_back)
        return result

    async def read(
        self, function: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function in one transaction of a reader."""
        return await self._run(self._readers, function, args, kwargs)

    def displaced(self) -> str:
        """Return what is wrong when the file that is written is not the one at its path any more, else nothing.

        SQLite writes on into a file that has no name, and all that it acknowledges is gone when it is closed.
        """
        found = _identity_of(self.path)
        self._identity = self._identity or found
        if found == self._identity:
            return ""
        return f"{self.path} was moved, removed or replaced while it was in use: put it back, or restart modelkeep"

    async def release_memory(self) -> None:
        """Let go of what is kept: threads, pages, and statements made ready, of which large ones take megabytes.

        Statements made while much was done lie scattered amid what that needed, and keep all of its memory.
        """
        run = asyncio.get_running_loop().run_in_executor
        for threads, renew in ((self._writer, self._renew_writer), (self._readers, self._renew_readers)):
            threads.renew()
            await run(threads, renew)

    def _renew_writer(self) -> None:
        """Close the connection that writes, and open it again."""
        # A reader holds the log: the last one to close would write it back, and remove it. It is none of those whom
        # others ask: whoever writes would wait until one of them has its answer.
        own = self._open_reading(self.path)
        try:
            with suppress(*ERRORS), own.connect() as reader:
                hold_log(reader)
                if self.displaced():  # what is open is all that is left of it
                    return
                _free(self._writing)
                self._writing = self._open_writing(self.path)
                self._writing.connect().close()
        finally:
            own.dispose()

    def _write_back(self) -> None:
        with suppress(*ERRORS):  # the next commit tries it again
            write_back(self._writing)

    def _renew_readers(self) -> None:
        """Close the connections that read, those in use when they are given back."""
        if self.displaced():
            return
        before, self._reading = self._reading, self._open_reading(self.path)
        sa.event.listen(before, "checkin", lambda connection, _: connection.close())
        _free(before)

    def close(self) -> None:
        """Wait for what runs, then close; the writer last, so that its checkpoint is the final one."""
        self._readers.shutdown(wait=True)
        self._reading.dispose()
        self._writer.shutdown(wait=True)
        self._writing.dispose()

    async def _run(
        self,
        executor: Threads,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        beside: tuple[Path | None, str] = (None, ""),
    ) -> T:
        is_writer = executor is self._writer
        self.transactions += 1

        def transact() -> T:
            with translated_errors(self.path), self._reading.begin() as connection:
                return function(connection, *args, **kwargs)

        def write() -> T:
            is_change = True
            if sentence := self.displaced():
                raise CatalogueUnwritable(sentence)
            try:
                engine = self._writing  # not before: it may be renewed until it is the turn of this
                with translated_errors(self.path), attached(engine, *beside), engine.begin() as connection:
                    before = changed_rows(connection)
                    result = function(connection, *args, **kwargs)
                    is_change = changed_rows(connection) != before
                    reach("catalogue.commit.before")
            finally:
                self.changes += is_change
            reach("catalogue.commit.after")
            return result

        return await asyncio.get_running_loop().run_in_executor(executor, write if is_writer else transact)


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _free(engine: sa.Engine) -> None:
    engine.dispose()
    STATEMENTS.forget()


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
        if isinstance(error, ERRORS) and not isinstance(error, BROKEN_RULES):
            raise explained_error(error, self._path, "the catalogue cannot be read or written now") from error


def explained_error(error: Exception, path: Path, what: str) -> CatalogueError:
    """Return a failure of the database as a sentence that says what would help, of the kind that fits."""
    cause = getattr(error, "orig", None) or error
    match failure_of(cause):
        case Failure.LOCKED:
            return CatalogueLocked(f"{what}: {cause}; another program holds {path}: close it")
        case Failure.FULL:
            return CatalogueUnwritable(f"{what}: {cause}; make room on the disk of {path.parent}")
        case Failure.UNWRITABLE:
            advice = f"look at the disk of {path.parent}: whether it is full, may be written, or fails"
            return CatalogueUnwritable(f"{what}: {cause}; {advice}")
    return CatalogueError(f"{what}: {cause}")
