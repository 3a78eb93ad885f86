"""Statements for many rows say the same as SQLAlchemy's own, whatever the bytes of paths."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from modelkeep.catalogue.dialect import next_ids, upsert, writing_engine
from modelkeep.catalogue.store.bulk import Bulk, all_rows
from modelkeep.catalogue.tables import imported_rows, locations, models, pending_import
from modelkeep.domain.values import LocationState

from .conftest import NOT_UTF8, A, transaction

MANY = 4500
"""More than go into one call."""


@pytest.fixture
def connection(file: Path) -> Iterator[sa.Connection]:
    with transaction(writing_engine(file)) as connection:
        yield connection


def test_rows_come_back_as_they_were_whatever_their_bytes(connection: sa.Connection) -> None:
    paths = [NOT_UTF8, "/m/\U0010ff80", *(f"/m/{number}" for number in range(MANY))]
    row = {"kind": "k", "source": NOT_UTF8, "digest": "d", "sha256": "", "pending_id": 1}
    keep = Bulk(upsert(imported_rows))

    keep.run(connection, [{**row, "row_key": path, "path": path} for path in paths])
    keep.run(connection, [{**row, "row_key": NOT_UTF8, "path": "/elsewhere"}])

    query = sa.select(imported_rows.c.row_key, imported_rows.c.path).where(imported_rows.c.source == NOT_UTF8)
    expected = {path: path for path in paths} | {NOT_UTF8: "/elsewhere"}
    assert dict(all_rows(connection, query)) == expected
    assert {found.row_key: found.path for found in connection.execute(query)} == expected


def test_numbers_beyond_sqlites_own_and_missing_ones_are_stored(connection: sa.Connection) -> None:
    place = {"path": "/m/a", "sha256": A, "state": LocationState.PRESENT, "claimed": True, "first_seen": 1}
    Bulk(sa.insert(models)).run(connection, [{"sha256": A, "path": "/m/a"}])

    Bulk(sa.insert(locations)).run(connection, [{**place, "inode": 2**64 - 1, "device": None, "mtime_ns": -5}])

    found = connection.execute(sa.select(locations)).one()
    assert (found.inode, found.device, found.mtime_ns, found.claimed) == (2**64 - 1, None, -5, True)
    assert found.state == "present"


def test_no_rows_are_no_statement(connection: sa.Connection) -> None:
    Bulk(sa.insert(models)).run(connection, [])

    assert list(all_rows(connection, sa.select(models.c.sha256))) == []


def test_ids_are_never_given_twice_though_rows_are_deleted(connection: sa.Connection) -> None:
    first = next_ids(connection, pending_import, 3)
    queue = Bulk(sa.insert(pending_import))
    queue.run(connection, [{"id": new, "path": f"/m/{new}"} for new in first])
    connection.execute(sa.delete(pending_import))

    assert list(first) == [1, 2, 3]
    assert list(next_ids(connection, pending_import, 2)) == [4, 5]
