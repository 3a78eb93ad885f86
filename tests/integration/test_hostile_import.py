"""Whatever a legacy source holds: an import touches nothing of others, and never holds up a stop."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Thread

import httpx
from tests.daemon_process import STOP_SECONDS, DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.libraries import LegacyLibrary, put, safetensors
from tests.unit.importers.test_hostile_database import leave_hot_journal, name_super_journal
from tests.waiting import wait_until

SLOW = "instr(zeroblob(30000000) || 'x', zeroblob(15000000) || 'y')"
"""A function of SQLite that works for hours and cannot be interrupted."""


def plain_database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE models (id INTEGER PRIMARY KEY, path, name, hash_hex, extra_json)")
        rows = [(number, f"/old/{number}.pt", "old", "", "x" * 3000) for number in range(1, 61)]
        connection.executemany("INSERT INTO models VALUES (?,?,?,?,?)", rows)
    os.utime(path, (1, 1))
    return path


def endless_database(path: Path) -> Path:
    """Make a database that takes hours to read, though it holds nothing but a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE models (id INTEGER PRIMARY KEY, path, hash_hex, g NOT NULL AS (abs(7)))")
        connection.execute("INSERT INTO models VALUES (1, '/old/1.pt', '')")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'abs(7)', ?)", (SLOW,))
    os.utime(path, (1, 1))
    return path


def is_reading(daemon: DaemonProcess) -> bool:
    return any(daemon.data_dir.glob("modelkeep-import-*/*/copy.sqlite3"))


def test_an_import_removes_no_file_that_a_journal_names(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    daemon = make_daemon()
    daemon.start().stop()
    model = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    for precious, options in (
        (model, []),
        (daemon.data_dir / "modelkeep.db", []),
        (daemon.data_dir / "modelkeep.lock", ["--dry-run"]),
    ):
        database = plain_database(tmp_path / precious.name / "hikaze_mm.sqlite3")
        name_super_journal(leave_hot_journal(database), str(precious))
        done = daemon.command("import", "hikaze", str(database), *options)
        assert (done.status, "names another file" in done.err) == (1, True), done
        assert precious.exists()
    assert list(daemon.data_dir.glob("modelkeep-import-*")) == []


def test_an_honest_journal_is_rolled_back_before_the_import(tmp_path: Path, make_daemon: DaemonMaker) -> None:
    database = plain_database(tmp_path / "data" / "hikaze_mm.sqlite3")
    leave_hot_journal(database)
    daemon = make_daemon()
    daemon.must("import", "hikaze", str(database))
    assert {row["name"] for row in daemon.rows("SELECT name FROM pending_import")} == {"old"}


def test_a_stop_ends_an_import_that_has_no_end_and_the_next_one_works(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    source = endless_database(tmp_path / "endless" / "hikaze_mm.sqlite3")
    answers: list[httpx.Response | httpx.TransportError] = []

    def ask() -> None:
        try:
            answers.append(daemon.post("/api/migration/migrate_legacy_db", {"legacy_db_path": str(source)}))
        except httpx.TransportError as error:
            answers.append(error)

    asking = Thread(target=ask)
    asking.start()
    wait_until(lambda: is_reading(daemon), what="the import to read")
    assert daemon.status()["state"] == "running"
    assert daemon.stop() < STOP_SECONDS
    asking.join(10)
    assert len(answers) == 1
    assert list(daemon.data_dir.glob("modelkeep-import-*")) == []
    assert [record["event"] for record in daemon.journal("import.*")] == []
    library = LegacyLibrary()
    library.add(put(models / "a.safetensors", safetensors("a")), (".png", png()), name="Hero")
    daemon.start().must("import", "hikaze", str(library.write(tmp_path / "good")))
    daemon.wait_idle()
    assert [row["name"] for row in daemon.rows("SELECT name FROM models")] == ["Hero"]


def test_ctrl_c_ends_an_import_that_has_no_end(tmp_path: Path, make_daemon: DaemonMaker) -> None:
    source = endless_database(tmp_path / "endless" / "hikaze_mm.sqlite3")
    daemon = make_daemon()
    command = daemon.begin("import", "hikaze", str(source))
    wait_until(lambda: is_reading(daemon), what="the import to read")
    began = time.monotonic()
    command.send_signal(signal.SIGINT)
    assert command.wait(STOP_SECONDS) != 0
    assert time.monotonic() - began < STOP_SECONDS
    assert list(daemon.data_dir.glob("modelkeep-import-*")) == []
