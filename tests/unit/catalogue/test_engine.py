"""Connections: commits that last, readers that cannot write, errors that are sentences."""

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.dialect import READERS
from modelkeep.catalogue.engine import Database
from modelkeep.catalogue.sqlite_files import LOG_PAGES
from modelkeep.catalogue.tables import tags
from modelkeep.errors import CatalogueError, CatalogueLocked, CatalogueUnwritable

from .conftest import NOW, A, dump, hashed, migrate, names_in, order, queue, rows_of

INSERT = "INSERT INTO tags (name) VALUES ('x')"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    opened = Database(file)
    yield opened
    opened.close()


def ask(connection: sa.Connection, statement: str) -> Any:
    result = connection.exec_driver_sql(statement)
    return result.scalar() if result.returns_rows else None


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's own connection."""
    own = connection.connection.dbapi_connection
    assert isinstance(own, sqlite3.Connection)
    return own


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018 - asked for its error
    except sqlite3.ProgrammingError:
        return True
    return False


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Every connection of the driver that was opened, in order."""
    found: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:
        found.append(connect(*args, **options))
        return found[-1]

    monkeypatch.setattr(sqlite3, "connect", watched)
    return found


@contextmanager
def replaced_by_a_folder(file: Path) -> Iterator[None]:
    aside = file.rename(file.with_suffix(".aside"))
    file.mkdir()
    yield
    file.rmdir()
    aside.rename(file)


@contextmanager
def moved_away(file: Path, *, is_replaced: bool) -> Iterator[None]:
    aside = file.rename(file.with_suffix(".aside"))
    if is_replaced:
        file.write_bytes(aside.read_bytes())
    yield
    aside.replace(file)


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_nothing_is_acknowledged_while_the_file_is_not_at_its_path(
    opened: list[sqlite3.Connection], database: Database, file: Path, is_replaced: bool
) -> None:
    await database.write(ask, INSERT)
    with moved_away(file, is_replaced=is_replaced):
        with pytest.raises(CatalogueUnwritable, match="moved, removed or replaced while it was in use: put it back"):
            await database.write(ask, "DELETE FROM tags")
        await database.release_memory()  # which takes no other file for ours
        with pytest.raises(CatalogueUnwritable):
            await database.write(ask, "DELETE FROM tags")
    await database.write(ask, "INSERT INTO tags (name) VALUES ('y')")
    assert await database.read(ask, "SELECT count(*) FROM tags") == 2
    database.close()
    assert all(map(is_closed, opened))


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("pragma", "value"), [("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1), ("mmap_size", 0)]
)
async def test_the_writer_commits_durably_and_checks_foreign_keys(
    database: Database, pragma: str, value: object
) -> None:
    assert await database.write(ask, f"PRAGMA {pragma}") == value


async def test_a_transaction_that_fails_leaves_nothing_behind(database: Database, file: Path) -> None:
    def insert_and_fail(connection: sa.Connection) -> None:
        ask(connection, INSERT)
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await database.write(insert_and_fail)
    assert dump(file)["tags"] == []


async def test_what_comes_of_a_file_beside_is_written_back_after_its_commit(
    database: Database, file: Path, tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    with closing(sqlite3.connect(beside)) as connection:
        connection.executescript("CREATE TABLE names (name); INSERT INTO names VALUES ('a'), ('b')")

    inside = await database.write_from(beside, "beside", take_names)
    # The next in turn comes after it.
    assert (inside, await database.write(ask, "PRAGMA wal_autocheckpoint")) == (0, LOG_PAGES)

    with closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT name FROM tags").fetchall() == [("a",), ("b",)]


def take_names(connection: sa.Connection) -> Any:
    ask(connection, "INSERT INTO tags (name) SELECT name FROM beside.names")
    return ask(connection, "PRAGMA wal_autocheckpoint")


async def test_ddl_and_savepoints_are_part_of_the_transaction(database: Database, file: Path) -> None:
    before = dump(file)

    def make_a_table_and_fail(connection: sa.Connection) -> None:
        ask(connection, "CREATE TABLE extra (id INTEGER)")
        with connection.begin_nested():
            ask(connection, INSERT)
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await database.write(make_a_table_and_fail)
    assert dump(file) == before


@pytest.mark.parametrize("statement", [INSERT, "DELETE FROM tags", "DROP TABLE tags", "CREATE TABLE x (id INTEGER)"])
async def test_a_reader_cannot_write(database: Database, file: Path, statement: str) -> None:
    before = dump(file)
    with pytest.raises(CatalogueError, match="cannot be read or written now"):
        await database.read(ask, statement)
    assert dump(file) == before


async def test_a_catalogue_that_another_program_holds_is_told_with_what_helps(database: Database, file: Path) -> None:
    await database.write(ask, "PRAGMA busy_timeout=20")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogueLocked, match=f"database is locked; another program holds {file}: close it"):
            await database.write(ask, INSERT)
    await database.write(ask, INSERT)


async def test_a_full_disk_is_told_with_what_helps(database: Database, file: Path) -> None:
    await database.write(ask, "PRAGMA max_page_count=1")
    with pytest.raises(CatalogueUnwritable, match=f"is full; make room on the disk of {file.parent}$"):
        await database.write(ask, "CREATE TABLE t AS SELECT zeroblob(1000000)")


async def test_a_read_only_database_cannot_write(file: Path) -> None:
    database = Database(file, read_only=True)
    try:
        assert await database.read(ask, "SELECT count(*) FROM models") == 0
        with pytest.raises(CatalogueError):
            await database.write(ask, INSERT)
    finally:
        database.close()


async def test_a_read_only_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    database = Database(tmp_path / "modelkeep.db", read_only=True)
    try:
        with pytest.raises(CatalogueError):
            await database.read(ask, "SELECT 1")
    finally:
        database.close()
    assert names_in(tmp_path) == []


async def test_a_foreign_key_is_not_broken(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        await database.write(ask, f"INSERT INTO model_tags (model_hash, tag_id) VALUES ('{A}', 1)")


async def test_nobody_sees_a_transaction_before_its_commit(catalogue: Catalogue, file: Path) -> None:
    (row,) = await queue(catalogue, "/m/a.pt")
    before = dump(file)
    seen: list[bool] = []
    await migrate(catalogue, order(row, A), before_commit=lambda _: seen.append(dump(file) == before))
    assert seen == [True]
    assert rows_of(file, "SELECT sha256 FROM models") == [(A,)]


async def test_what_was_committed_is_there_after_the_process_goes_on_without_closing(
    catalogue: Catalogue, file: Path, tmp_path: Path
) -> None:
    """The file and its log as a kill at this moment would leave them."""
    await hashed(catalogue, "/m/a.pt", A)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("modelkeep.db", "modelkeep.db-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    assert rows_of(left / "modelkeep.db", "SELECT sha256, path FROM models") == [(A, "/m/a.pt")]


async def test_writes_are_carried_out_in_the_order_of_the_calls(database: Database) -> None:
    def insert(connection: sa.Connection, name: str) -> None:
        ask(connection, f"INSERT INTO tags (name) VALUES ('{name}')")

    names = [f"tag {number:02}" for number in range(40)]
    await asyncio.gather(*(database.write(insert, name) for name in names))

    def in_order(connection: sa.Connection) -> list[str]:
        return list(connection.exec_driver_sql("SELECT name FROM tags ORDER BY id").scalars())

    assert await database.read(in_order) == names


async def test_a_damaged_file_is_a_sentence_at_the_question_that_meets_it(
    opened: list[sqlite3.Connection], catalogue: Catalogue, file: Path
) -> None:
    await queue(catalogue, *(f"/m/{number}.pt" for number in range(300)))
    catalogue.close()
    damage(file)
    reopened = Catalogue(file)
    try:
        with pytest.raises(CatalogueError):
            await reopened.pending_imports()
        with pytest.raises(CatalogueError):
            await reopened.wait_again(NOW)
    finally:
        reopened.close()
    assert all(map(is_closed, opened))


async def test_connections_are_renewed_to_free_memory_whoever_holds_the_write_lock(
    database: Database, file: Path
) -> None:
    await database.write(ask, INSERT)
    log = file.with_name(f"{file.name}-wal")
    was, engines = (log.stat().st_ino, log.stat().st_size), {database._writing, database._reading}

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await database.release_memory()
        other.execute("ROLLBACK")

    assert engines.isdisjoint({database._writing, database._reading}), "what they keep is gone with them"
    assert await database.read(ask, "SELECT count(*) FROM tags") == 1
    await database.write(ask, "INSERT INTO tags (name) VALUES ('y')")
    await database.release_memory()
    assert log.stat().st_ino == was[0], "nothing was written back"
    assert log.stat().st_size > was[1] > 0


async def test_whoever_writes_waits_for_no_reader_while_memory_is_freed(database: Database) -> None:
    reading, released = threading.Semaphore(0), threading.Event()
    in_use: list[sqlite3.Connection] = []

    def hold(connection: sa.Connection) -> None:
        in_use.append(driver_of(connection))
        reading.release()
        released.wait(120)

    readers = [asyncio.create_task(database.read(hold)) for _ in range(READERS)]
    for _ in readers:
        await asyncio.to_thread(reading.acquire)
    freeing = asyncio.create_task(database.release_memory())
    await asyncio.sleep(0)  # the writer has it to do now
    await database.write(ask, INSERT)
    released.set()
    await asyncio.gather(freeing, *readers)
    assert [is_closed(connection) for connection in in_use] == [True] * READERS


async def test_statements_made_ready_are_freed_with_engines_that_no_collection_looks_at(database: Database) -> None:
    compiled: list[weakref.ref[object]] = []
    for engine in (database._reading, database._writing):
        sa.event.listen(
            engine, "after_execute", lambda *told: compiled.append(weakref.ref(told[-1].context.compiled))
        )
    gc.freeze()  # as the daemon does when it has started: what these engines refer to is never garbage
    try:
        for transact in (database.read, database.write):
            await transact(lambda connection: connection.execute(sa.select(tags.c.name)).all())
        await database.release_memory()
        gc.collect()
        assert [kept() for kept in compiled] == [None, None]
    finally:
        gc.unfreeze()


async def test_a_statement_is_made_ready_once_for_all_who_read_and_write(database: Database) -> None:
    compiled: list[object] = []
    for engine in (database._reading, database._writing):
        sa.event.listen(engine, "after_execute", lambda *told: compiled.append(told[-1].context.compiled))
    for transact in (database.read, database.write, database.read):
        await transact(lambda connection: connection.execute(sa.select(tags.c.name, tags.c.id)).all())
    assert len(compiled) == 3
    assert len({id(kept) for kept in compiled}) == 1


async def test_memory_is_freed_without_a_sentence_where_the_file_cannot_be_opened(
    database: Database, file: Path
) -> None:
    await database.write(ask, INSERT)
    with replaced_by_a_folder(file):
        await database.release_memory()
        with pytest.raises(CatalogueError):
            await database.read(ask, "SELECT count(*) FROM tags")

    await database.write(ask, "INSERT INTO tags (name) VALUES ('y')")
    assert await database.read(ask, "SELECT count(*) FROM tags") == 2
