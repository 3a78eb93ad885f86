"""The process that reads a source hands its rows over while it reads them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from modelkeep.domain.legacy import LegacyRow
from modelkeep.errors import SourceError
from modelkeep.importers import hikaze
from modelkeep.importers.base import PATHS_TOLD, SourceOptions
from modelkeep.importers.hikaze import HikazeImporter
from modelkeep.importers.source_reader import read

MakeDatabase = Callable[..., Path]


@pytest.fixture
def database(make_database: MakeDatabase) -> Path:
    """More rows than there are paths to be told, and some twice."""
    rows = [{"path": f"/m/{number}.pt", "hash_hex": "" if number % 7 else "odd"} for number in range(PATHS_TOLD + 50)]
    rows[30]["path"], rows[90]["path"], rows[91]["path"] = "/m//7.pt", "/m//200.pt", ""
    return make_database(rows, [((1, "x", None, None), range(1, 60))])


def test_rows_are_handed_over_as_they_are_read_otherwise_with_all_that_is_told(
    database: Path, tmp_path: Path
) -> None:
    handed: list[LegacyRow] = []

    def prepare(_path: Path, _kind: str, _source: str, rows: Iterable[LegacyRow]) -> None:
        handed.extend(rows)

    content, _ = read(HikazeImporter(), SourceOptions(database, scratch=tmp_path), prepare)
    whole = HikazeImporter().read(SourceOptions(database))

    assert not content.rows
    assert content.prepared is not None
    assert tuple(handed) == whole.rows
    assert (content.refusals, len(content.refusals)) == (whole.refusals, 3)
    assert content.told == whole.told
    assert (content.told.count, len(content.told.remarks)) == (PATHS_TOLD + 47, 35)
    assert PATHS_TOLD / 2 <= len(content.told.paths) <= PATHS_TOLD


def test_a_source_that_cannot_be_read_on_is_told_from_a_file_that_cannot_be_written(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _kind: str, _source: str, rows: Iterable[LegacyRow]) -> None:
        next(iter(rows))
        raise sqlite3.OperationalError("database or disk is full")

    def broken(*_: object) -> Iterator[LegacyRow]:
        raise sqlite3.DatabaseError("database disk image is malformed")
        yield

    def prepare(_path: Path, _kind: str, _source: str, rows: Iterable[LegacyRow]) -> None:
        list(rows)

    options = SourceOptions(database, scratch=tmp_path)
    with pytest.raises(SourceError, match="could not be prepared: database or disk is full"):
        read(HikazeImporter(), options, full)
    monkeypatch.setattr(hikaze, "read_records", broken)
    with pytest.raises(SourceError, match="is damaged"):
        read(HikazeImporter(), options, prepare)
