import sqlite3

import pytest
import sqlalchemy as sa
from tests.unit.doctor.conftest import A, House

from modelkeep.catalogue.upgrade import known_revisions
from modelkeep.doctor import database
from modelkeep.doctor.database import check_integrity, check_log, check_sqlite, judge_absence
from modelkeep.doctor.findings import Severity
from modelkeep.doctor.knowledge import opened, wal_of
from modelkeep.doctor.premises import take_premises
from modelkeep.journal.mark import mark_path


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ((3, 6, 23), Severity.OK),
        ((3, 7, 0), Severity.NOTE),
        ((3, 40, 1), Severity.NOTE),
        ((3, 51, 2), Severity.NOTE),
        ((3, 51, 3), Severity.OK),
        ((4, 0, 0), Severity.OK),
    ],
)
def test_versions_of_sqlite_that_can_corrupt_a_log_are_told(version: tuple[int, ...], severity: Severity) -> None:
    finding = check_sqlite(version)

    assert finding.severity is severity
    assert ".".join(map(str, version)) in finding.sentence


def test_an_index_that_does_not_fit_its_table_is_found(house: House) -> None:
    house.execute(
        "PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET sql = 'CREATE INDEX ix_models_name ON models (path)' WHERE name = 'ix_models_name'"
    )

    finding = house.the_wrong("catalogue")

    assert finding.severity is Severity.PROBLEM
    assert "ix_models_name" in finding.sentence


def test_rows_that_refer_to_nothing_are_found(house: House) -> None:
    house.execute(f"PRAGMA foreign_keys=OFF; DELETE FROM models WHERE sha256 = '{A}'")

    assert "refer" in house.the_wrong("catalogue").sentence


def test_a_large_file_is_looked_through_quickly_and_that_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "FULL_CHECK_BYTES_MAX", 1)
    with opened(take_premises(house.settings)) as connection:
        (finding,) = check_integrity(connection, 2)

    assert "quick_check" in finding.sentence
    assert "too large" in finding.sentence


def test_a_catalogue_of_an_older_modelkeep_is_a_note(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "known_revisions", lambda: [*known_revisions(), "9999"])

    assert "older modelkeep" in house.notes("catalogue")[0]
    assert house.wrong() == []


def test_what_a_catalogue_lacks_of_its_schema_is_told(house: House) -> None:
    house.execute(
        "DROP INDEX ix_contents_image_waits; ALTER TABLE contents DROP COLUMN image_waits; DROP TABLE taken_images"
    )

    finding = house.the_wrong("catalogue")

    assert finding.severity is Severity.PROBLEM
    assert "contents.image_waits" in finding.sentence
    assert "taken_images" in finding.sentence


@pytest.mark.parametrize("content", [b"", None])
def test_a_catalogue_that_is_gone_is_a_problem_only_when_the_journal_knows_of_one(
    house: House, content: bytes | None
) -> None:
    house.directory.catalogue.unlink()
    if content is not None:
        house.directory.catalogue.write_bytes(content)
    premises = take_premises(house.settings)
    assert judge_absence(premises).severity is Severity.PROBLEM
    assert house.the_wrong("catalogue").severity is Severity.PROBLEM

    for segment in house.directory.journal.iterdir():
        segment.write_bytes(b"")
    mark_path(house.directory.journal).unlink()

    assert judge_absence(premises).severity is Severity.NOTE
    assert house.wrong() == []


def test_a_database_without_a_table_is_none_yet(house: House) -> None:
    """As after a kill in the middle of the very first start."""
    house.directory.catalogue.unlink()
    connection = sqlite3.connect(house.directory.catalogue)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA user_version=0")
    connection.close()
    assert house.directory.catalogue.stat().st_size
    for segment in house.directory.journal.iterdir():
        segment.unlink()
    mark_path(house.directory.journal).unlink()

    assert house.wrong() == []
    assert "none yet" in house.notes("catalogue")[0]


def test_a_reader_of_the_doctor_cannot_write(house: House) -> None:
    with (
        opened(take_premises(house.settings)) as connection,
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        connection.begin_nested(),
    ):
        connection.exec_driver_sql("DELETE FROM models")


def test_a_log_that_outgrows_everything_is_told_while_the_daemon_runs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAL_BYTES_MAX", 10)
    wal_of(house.directory.catalogue).write_bytes(bytes(11))
    house.directory.lock("a test")

    (finding,) = check_log(take_premises(house.settings))

    assert finding.severity is Severity.WARNING
    house.directory.unlock()
