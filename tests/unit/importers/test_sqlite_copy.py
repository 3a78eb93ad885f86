"""A database is copied as it stood at one moment, or not at all."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.errors import SourceError
from modelkeep.importers import sqlite_copy
from modelkeep.importers.sqlite_copy import opened_copy

MakeDatabase = Callable[..., Path]


def names(database: Path) -> list[str]:
    with opened_copy(database) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM models")]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted, not slept."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def change(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE models SET name = name || '+'")
    connection.close()
    os.utime(path, ns=(1, time.time_ns() - 10**9))


def test_a_database_that_changes_while_it_is_copied_is_copied_again(
    make_database: MakeDatabase, hasty: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database([{"name": "a"}])
    copyfile, changes = shutil.copyfile, [1, 2]

    def copy_and_change(source: Path, target: str) -> str:
        result = copyfile(source, target)
        if changes:
            changes.pop()
            change(database)
        return result

    monkeypatch.setattr(shutil, "copyfile", copy_and_change)
    assert names(database) == ["a++"]
    assert len(hasty) == 2


def test_a_wal_that_goes_away_while_it_is_copied_is_no_error(
    sample: Path, hasty: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sample / "data/hikaze_mm.sqlite3"
    copyfile = shutil.copyfile

    def checkpoint_first(source: Path, target: str) -> str:
        if str(source).endswith("-wal") and Path(source).exists():
            connection = sqlite3.connect(database)
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.close()
            os.utime(database, (1, 1))
        return copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", checkpoint_first)
    assert len(names(database)) == 17
    assert len(hasty) == 1


def test_a_database_that_never_stands_still_is_told(
    make_database: MakeDatabase, hasty: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database([{"name": "a"}])
    copyfile = shutil.copyfile

    def copy_and_change(source: Path, target: str) -> str:
        result = copyfile(source, target)
        change(database)
        return result

    monkeypatch.setattr(shutil, "copyfile", copy_and_change)
    with pytest.raises(SourceError, match="is being written all the time; close the program"):
        names(database)
    assert len(hasty) == sqlite_copy.COPY_ATTEMPTS


def test_a_database_that_was_written_this_moment_is_looked_at_again(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database([{"name": "a"}])
    now_ns = [database.stat().st_mtime_ns + sqlite_copy.CLOCK_TICK_NS // 2]
    pauses: list[float] = []

    def let_time_pass(seconds: float) -> None:
        pauses.append(seconds)
        now_ns[0] += 10**9

    monkeypatch.setattr(time, "time_ns", lambda: now_ns[0])
    monkeypatch.setattr(time, "sleep", let_time_pass)
    assert names(database) == ["a"]
    assert pauses == [sqlite_copy.PAUSE_SECONDS]


def test_a_time_in_the_future_is_a_server_s_clock_and_no_reason_to_wait(
    make_database: MakeDatabase, hasty: list[float]
) -> None:
    database = make_database([{"name": "a"}])
    os.utime(database, (1, time.time() + 3600))
    assert names(database) == ["a"]
    assert hasty == []


def test_a_folder_without_room_is_told(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database = make_database([{"name": "a"}])
    usage = shutil.disk_usage(database.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(SourceError, match=r"has 100 bytes free, but a private copy of .* needs"):
        names(database)


def test_a_scratch_folder_that_does_not_exist_is_told(make_database: MakeDatabase, tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match="nowhere does not exist"),
        opened_copy(make_database(), tmp_path / "nowhere"),
    ):
        pass


def test_a_wal_that_cannot_be_read_is_told_and_not_passed_over(sample: Path) -> None:
    wal = sample / "data/hikaze_mm.sqlite3-wal"
    wal.unlink()
    wal.mkdir()
    with pytest.raises(SourceError, match="-wal is no regular file"):
        names(sample / "data/hikaze_mm.sqlite3")


def test_an_error_in_the_middle_of_reading_is_told_and_the_copy_removed(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (
        pytest.raises(SourceError, match="is damaged"),
        opened_copy(make_database([{"name": "a"}]), scratch) as connection,
    ):
        connection.execute("SELECT nothing FROM nowhere")
    assert list(scratch.iterdir()) == []
