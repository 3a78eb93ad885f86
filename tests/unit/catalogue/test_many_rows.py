"""Many rows in few statements, and conditions over many values."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.fakes import NOT_UTF8

from modelkeep.catalogue.dialect import among, insert_missing, upsert
from modelkeep.catalogue.store.bulk import ROWS_IN_INSERT, Bulk
from modelkeep.catalogue.store.models import choose_main_paths
from modelkeep.catalogue.tables import daemon_state, locations, metadata, models, tags

_UPSERT, _MISSING = Bulk(upsert(models)), Bulk(insert_missing(daemon_state))
ODD = (NOT_UTF8, 'it\'s "quoted" \\', "\U0010ffff", "")


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def model(number: int, path: str = "") -> dict[str, object]:
    return {"sha256": f"{number:064x}", "path": path, "name": f"m{number}"}


def put(connection: sa.Connection, sha256: object, **known: int) -> None:
    """Put a model's locations into the catalogue, each with the time since when it is known; negative: missing."""
    for path, first_seen in known.items():
        state = "present" if first_seen >= 0 else "missing"
        values = {"path": path, "sha256": sha256, "state": state, "first_seen": abs(first_seen)}
        connection.execute(sa.insert(locations).values(values))


@pytest.mark.parametrize("number", [0, 1, ROWS_IN_INSERT, 2 * ROWS_IN_INSERT + 1])
def test_as_many_rows_as_one_likes_are_inserted(connection: sa.Connection, number: int) -> None:
    _UPSERT.run(connection, [model(each, ODD[each % len(ODD)]) for each in range(number)])
    found = connection.execute(sa.select(models.c.path).order_by(models.c.sha256)).scalars().all()
    assert found == [ODD[each % len(ODD)] for each in range(number)]


def test_what_is_there_is_written_over_or_passed_over(connection: sa.Connection) -> None:
    for path in ("/a", "/b"):
        _UPSERT.run(connection, [model(1, path), model(2, path)])
        _MISSING.run(connection, [{"key": "k", "value": path}])
    assert connection.execute(sa.select(models.c.path)).scalars().all() == ["/b", "/b"]
    assert connection.execute(sa.select(daemon_state.c.value)).scalar_one() == "/a"


def test_a_condition_takes_any_number_of_values(connection: sa.Connection) -> None:
    _UPSERT.run(connection, [model(each, path) for each, path in enumerate(ODD)])
    Bulk(sa.insert(tags)).run(connection, [{"id": each, "name": str(each)} for each in range(1, 5)])
    paths = [*ODD[:3], *(f"/nowhere/{each}" for each in range(40_000))]
    found = connection.execute(sa.select(models.c.path).where(among(models.c.path, paths))).scalars()
    assert set(found) == set(ODD[:3])
    assert connection.execute(sa.select(tags.c.id).where(among(tags.c.id, [2, 4, 6]))).scalars().all() == [2, 4]
    assert connection.execute(sa.select(tags.c.id).where(among(tags.c.id, []))).scalars().all() == []
    assert connection.execute(sa.select(tags.c.id).where(among(tags.c.id, [2**70, 2]))).scalars().all() == [2]


def test_a_path_with_a_nul_character_is_nobodys(connection: sa.Connection) -> None:
    _UPSERT.run(connection, [model(1, "/a")])
    assert connection.execute(sa.select(models).where(among(models.c.path, ["/a\0b"]))).all() == []


def test_the_main_path_is_changed_only_where_no_file_is_there_any_more(connection: sa.Connection) -> None:
    rows = [model(1, "a"), model(2, "c"), model(3, "f")]
    _UPSERT.run(connection, rows)
    put(connection, rows[0]["sha256"], a=9, b=1)
    put(connection, rows[1]["sha256"], c=-1, e=5, d=5)
    put(connection, rows[2]["sha256"], f=-1, g=-2)
    choose_main_paths(connection, [str(row["sha256"]) for row in rows])
    assert connection.execute(sa.select(models.c.path).order_by(models.c.sha256)).scalars().all() == ["a", "d", "f"]
