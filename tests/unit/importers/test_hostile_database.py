"""A foreign database makes SQLite do nothing but read its tables, whatever its files and its schema say."""

import contextlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from modelkeep.errors import SourceError
from modelkeep.importers import sqlite_guard
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.hikaze import HikazeImporter
from modelkeep.importers.sqlite_journal import JOURNAL_MAGIC

MakeDatabase = Callable[..., Path]
Snapshot = Callable[[Path], object]

ENDLESS = "WITH RECURSIVE r(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM r) SELECT x AS model_id, 1 AS tag_id FROM r"
TWO_TABLES = (
    "CREATE TABLE models (id INTEGER PRIMARY KEY, path, hash_hex); CREATE TABLE tags (id INTEGER PRIMARY KEY, name);"
)


def names(database: Path) -> set[str]:
    return {row.name for row in HikazeImporter().read(SourceOptions(database)).rows}


def leave_hot_journal(database: Path) -> Path:
    """Leave a database as a program does that is killed in the middle of a change; returns its journal."""
    made = database.with_name("making")
    shutil.copyfile(database, made)
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE models SET name = 'half written'")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{made}{suffix}", f"{database}{suffix}")
    journal = Path(f"{database}-journal")
    assert journal.read_bytes().startswith(JOURNAL_MAGIC)
    assert b"half written" in database.read_bytes()
    for path in (database, journal):
        os.utime(path, (1, 1))
    return journal


def name_super_journal(journal: Path, named: str) -> None:
    """Write at the end of a journal what SQLite writes there for a change to several databases."""
    name = named.encode()
    record = struct.pack(">I", 2**30 // 4096 + 1) + name
    record += struct.pack(">II", len(name), sum(name)) + JOURNAL_MAGIC
    with journal.open("ab") as file:
        file.write(record)
    os.utime(journal, (1, 1))


@pytest.fixture
def database(make_database: MakeDatabase) -> Path:
    # So many pages that some of a change reach the file before it is committed.
    return make_database([{"name": "before", "extra_json": "x" * 3000} for _ in range(60)])


@pytest.mark.parametrize("is_relative", [False, True])
def test_a_journal_that_names_another_file_is_not_followed(
    database: Path, tmp_path: Path, is_relative: bool, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious" / "model.safetensors"
    precious.parent.mkdir()
    precious.write_bytes(b"a model")
    journal = leave_hot_journal(database)
    name_super_journal(journal, "precious/model.safetensors" if is_relative else str(precious))
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(SourceError, match="its -journal names another file, which is not followed"):
        names(database)
    assert snapshot(tmp_path) == before


def test_a_name_that_the_check_overlooks_is_no_name_for_sqlite(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "model.safetensors"
    precious.write_bytes(b"a model")
    name_super_journal(leave_hot_journal(database), str(precious))
    monkeypatch.setattr("modelkeep.importers.sqlite_journal.JOURNAL_MAGIC", b"nothing.")
    assert names(database) == {"before"}
    assert precious.read_bytes() == b"a model"


def test_whether_the_named_file_exists_makes_no_difference(database: Path, tmp_path: Path) -> None:
    name_super_journal(leave_hot_journal(database), str(tmp_path / "nothing"))
    with pytest.raises(SourceError, match="its -journal names another file"):
        names(database)


def test_an_honest_journal_is_rolled_back(database: Path) -> None:
    leave_hot_journal(database)
    assert names(database) == {"before"}


def test_a_journal_that_speaks_of_more_pages_than_there_are_is_refused(database: Path) -> None:
    journal = leave_hot_journal(database)
    content = bytearray(journal.read_bytes())
    content[16:20] = struct.pack(">I", 2**31)
    journal.write_bytes(content)
    os.utime(journal, (1, 1))
    with pytest.raises(SourceError, match="speaks of more pages than there are"):
        names(database)


@pytest.mark.parametrize("page_bytes", [0, 1, 3, 511, 1000, 2**17, 2**31])
def test_a_journal_of_odd_page_sizes_is_harmless(database: Path, tmp_path: Path, page_bytes: int) -> None:
    journal = leave_hot_journal(database)
    content = bytearray(journal.read_bytes())
    content[16:20], content[24:28] = struct.pack(">I", 1), struct.pack(">I", page_bytes)
    journal.write_bytes(content)
    os.utime(journal, (1, 1))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with contextlib.suppress(SourceError):
        HikazeImporter().read(SourceOptions(database, scratch=scratch))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_link_beside_the_database_is_not_followed(database: Path, suffix: str) -> None:
    Path(f"{database}{suffix}").symlink_to("/dev/zero")
    with pytest.raises(SourceError, match=f"{suffix} is no regular file"):
        names(database)


@pytest.mark.parametrize(
    ("tables", "name"),
    [
        (f"{TWO_TABLES} CREATE VIEW model_tags AS {ENDLESS};", "model_tags"),
        (f"{TWO_TABLES} CREATE VIEW Model_Tags AS {ENDLESS};", "Model_Tags"),
        (f"CREATE VIEW models AS {ENDLESS};", "models"),
        (f"{TWO_TABLES} CREATE VIRTUAL TABLE model_tags USING rtree(model_id, tag_id, more);", "model_tags"),
    ],
)
def test_what_is_no_plain_table_is_refused(make_database: MakeDatabase, tables: str, name: str) -> None:
    database = make_database(tables=tables)
    with pytest.raises(SourceError, match=f"its {name} is no plain table"):
        names(database)


def test_a_view_that_passes_itself_off_as_a_table_is_not_read(make_database: MakeDatabase) -> None:
    database = make_database(tables=f"{TWO_TABLES} CREATE VIEW model_tags AS {ENDLESS};")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET type = 'table', rootpage = 2 WHERE name = 'model_tags'")
    os.utime(database, (1, 1))
    with pytest.raises(SourceError):
        names(database)


def test_checks_and_triggers_of_the_schema_do_not_run(make_database: MakeDatabase) -> None:
    slow = "length(hex(zeroblob(100000000))) > 0"
    tables = (
        f"CREATE TABLE models (id INTEGER PRIMARY KEY, path, hash_hex, name, CHECK ({slow}));"
        " CREATE TRIGGER t BEFORE INSERT ON models BEGIN SELECT 1; END;"
    )
    database = make_database(tables=tables)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO models VALUES (1, '/a', '', 'a')")
    os.utime(database, (1, 1))
    assert names(database) == {"a"}


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = WAL",
        "PRAGMA temp_store_directory = '/'",
        "SELECT load_extension('x')",
        "DELETE FROM models",
        "CREATE TEMP TABLE t (x)",
        "VACUUM INTO 'other.db'",
    ],
)
def test_a_guarded_database_takes_no_other_statement(database: Path, statement: str) -> None:
    with closing(sqlite_guard.open_guarded(database)) as connection, pytest.raises(sqlite3.DatabaseError):
        connection.execute(statement)


def test_a_database_that_takes_too_long_is_refused(database: Path) -> None:
    with closing(sqlite_guard.open_guarded(database, seconds_max=0.0)) as connection:
        connection.set_authorizer(None)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(f"SELECT count(*) FROM ({ENDLESS})").fetchall()
