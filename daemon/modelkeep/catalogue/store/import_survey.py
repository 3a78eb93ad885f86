"""What the catalogue knows of prepared rows: asked of all of them at once, so that few become values."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from modelkeep.base.collector import collector_paused
from modelkeep.base.set_aside import SetAside
from modelkeep.catalogue.columns import PathText
from modelkeep.catalogue.dialect import among
from modelkeep.catalogue.prepared import FURTHER, ROWS, TAGS, TAKEN, row_of
from modelkeep.catalogue.store.bulk import all_rows
from modelkeep.catalogue.store.import_place import prefixes, stays
from modelkeep.catalogue.tables import imported_rows, locations, models, pending_import
from modelkeep.domain.legacy import LegacyRow, LegacyTag, Survey

SCHEMA = "prepared"
"""The name under which the file of the rows is there."""

_PATHS = frozenset({"row_key", "path", "name", "file_name", "type", "base", "original_path", "image", "color"})


def _table(name: str, columns: Sequence[str], held: sa.MetaData) -> sa.Table:
    return sa.Table(name, held, *(sa.Column(each, PathText() if each in _PATHS else sa.Text()) for each in columns))


_file = sa.MetaData(schema=SCHEMA)
prepared_rows, _taken, _further, prepared_tags = (
    _table(name, columns, _file)
    for name, columns in (("rows", ROWS), ("taken", TAKEN), ("further", FURTHER), ("tags", TAGS))
)

standing = sa.Table(
    "standing",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("way", sa.Integer, nullable=False),
    # Whether it says anything that no earlier run was told.
    sa.Column("is_told", sa.Boolean, nullable=False),
    prefixes=["TEMPORARY"],
)

standing_rows: sa.FromClause = standing.join(prepared_rows, prepared_rows.c.number == standing.c.number)
"""The prepared rows, each with how it is to be taken."""


class Way(IntEnum):
    """How a prepared row is to be taken."""

    UNCHANGED = 0
    """It was taken by an earlier run as it is."""
    DROPPED = 1
    """It was, and the owner dropped since what it became."""
    CAREFULLY = 2
    """It meets something known."""
    AS_MODEL = 3
    WAITING = 4


def stand(
    connection: sa.Connection, kind: str, source: str, *, again: bool, careful: Collection[int] = ()
) -> Counter[Way]:
    """Note of each prepared row how it is to be taken, in a temporary table; returns how many rows there are of each.

    Args:
        connection: has the file attached.
        kind: of the source.
        source: which one.
        again: rows that the owner dropped are taken.
        careful: numbers of rows that are taken with care, even if they meet nothing by now.
    """
    standing.create(connection, checkfirst=False)
    row, before, joined = _with_earlier(connection, kind, source)
    is_known = before.digest.is_not(None)
    is_dropped = sa.and_(before.sha256 == "", before.pending_id == 0)
    is_said = sa.and_(before.digest == row.digest, sa.not_(is_dropped) if again else sa.true())
    there = sa.or_(before.path == row.path, sa.and_(before.path != "", sa.not_(_is_true(row.is_mapped))))
    way = sa.case(
        (sa.and_(is_said, there), sa.case((is_dropped, Way.DROPPED), else_=Way.UNCHANGED)),
        (
            sa.or_(is_known, _is_true(row.is_careful), _meets_something(row), among(row.number, careful)),
            Way.CAREFULLY,
        ),
        (row.claim == "", Way.WAITING),
        else_=Way.AS_MODEL,
    )
    is_told = sa.not_(sa.func.coalesce(is_said, sa.false()))
    chosen = sa.select(row.number, way, is_told).select_from(joined)
    connection.execute(sa.insert(standing).from_select(["number", "way", "is_told"], chosen))
    _follow_moved(connection, row, before, joined)
    counted = sa.select(standing.c.way, sa.func.count()).group_by(standing.c.way)
    counts = Counter({Way(way): count for way, count in connection.execute(counted)})
    counts[Way.UNCHANGED] += connection.execute(sa.select(sa.func.count()).select_from(_taken)).scalar_one()
    return counts


@collector_paused()
def survey(connection: sa.Connection, kind: str, source: str, prepared: Path, *, again: bool = False) -> Survey:
    """Return what is known of prepared rows before they are taken; most of it lies beside their file."""
    stand(connection, kind, source, again=again)
    held = rows_in_place(connection, kind, source, careful_numbers(connection))
    plain = SetAside(prepared.parent, _plain_paths(connection))
    unchanged = SetAside(prepared.parent, _unchanged_paths(connection, kind, source))
    standing.drop(connection, checkfirst=False)
    return Survey(held, plain, unchanged)


def careful_numbers(connection: sa.Connection) -> set[int]:
    """Return the numbers of the rows that need to be taken one by one; `stand` was called on the connection."""
    return set(connection.execute(sa.select(standing.c.number).where(_IS_CAREFUL)).scalars())


def rows_in_place(
    connection: sa.Connection, kind: str, source: str, numbers: Collection[int]
) -> dict[int, LegacyRow]:
    """Return the rows with these numbers, all of them to be taken one by one, each where it should be."""
    if not numbers:
        return {}
    places = _kept_places(connection, kind, source)
    rows = dict(_loaded(connection, numbers))
    return {
        number: row if number not in places else replace(row, path=places[number]) for number, row in rows.items()
    }


_IS_CAREFUL, IS_PLAIN = standing.c.way == Way.CAREFULLY, standing.c.way > Way.CAREFULLY


def _with_earlier(connection: sa.Connection, kind: str, source: str) -> tuple[Any, Any, sa.FromClause]:
    """Return the columns of the prepared rows, those of what an earlier run did with them, and the two joined."""
    before, row = imported_rows.c, prepared_rows.c
    is_of = sa.and_(before.kind == kind, before.source == source)
    if connection.execute(sa.select(sa.literal(1)).where(is_of).limit(1)).first() is None:
        is_of = sa.false()
    same = sa.and_(is_of, before.row_key == row.row_key)
    return row, before, prepared_rows.outerjoin(imported_rows, same)


def _meets_something(row: Any) -> sa.ColumnElement[bool]:
    is_queued = _is_held(pending_import.c.path, row.path)
    is_known = sa.or_(_is_held(models.c.sha256, row.claim), _is_held(locations.c.path, row.path))
    return sa.case((row.claim == "", is_queued), else_=is_known)


def _is_true(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return sa.cast(column, sa.Integer) != 0


def _is_held(column: sa.Column[str], asked: sa.Column[str]) -> sa.ColumnElement[bool]:
    return sa.exists().where(column == asked).correlate(prepared_rows)


def _follow_moved(connection: sa.Connection, row: Any, before: Any, joined: sa.FromClause) -> None:
    """Have rows taken with care that mean the path at which another row was put by an earlier run."""
    there = joined.join(standing, standing.c.number == row.number)
    elsewhere = sa.select(before.path).select_from(there).where(_IS_CAREFUL, before.path != row.path)
    paths = list(connection.execute(elsewhere.distinct()).scalars())
    if not paths:
        return
    means = sa.select(row.number).where(among(row.path, paths))
    connection.execute(sa.update(standing).where(IS_PLAIN, standing.c.number.in_(means)).values(way=Way.CAREFULLY))


def _kept_places(connection: sa.Connection, kind: str, source: str) -> dict[int, str]:
    """Return the places of rows that are taken with care and stay elsewhere than the source says now."""
    row, before, joined = _with_earlier(connection, kind, source)
    moved = sa.and_(before.path != "", before.path != row.path, sa.not_(_is_true(row.is_mapped)))
    columns = (standing.c.way, row.number, row.digest, row.path, before.digest, before.path)
    query = sa.select(*columns).select_from(joined.join(standing, standing.c.number == row.number)).where(moved)
    elsewhere = list(connection.execute(query))
    # The digest covers the path in the source: where it is the same, an earlier `--map` made the difference.
    maps = {prefixes(path, kept) for _, _, digest, path, old, kept in elsewhere if digest == old}
    return {
        number: kept
        for way, number, digest, path, old, kept in elsewhere
        if way == Way.CAREFULLY and stays((digest, path), old, kept, maps)
    }


def _plain_paths(connection: sa.Connection) -> Iterator[Any]:
    row = prepared_rows.c
    return all_rows(connection, sa.select(row.number, row.path).select_from(standing_rows).where(IS_PLAIN))


def _unchanged_paths(connection: sa.Connection, kind: str, source: str) -> Iterator[str]:
    """Yield where an earlier run put the rows that it took as they are."""
    row, before, joined = _with_earlier(connection, kind, source)
    there = joined.join(standing, standing.c.number == row.number)
    query = sa.select(before.path).select_from(there).where(standing.c.way < Way.CAREFULLY)
    return (path for held in (query, sa.select(_taken.c.path)) for (path,) in all_rows(connection, held))


def _loaded(connection: sa.Connection, numbers: Collection[int]) -> Iterator[tuple[int, LegacyRow]]:
    """Yield rows as values, in their order."""
    tags = tags_of_sets(connection)
    columns = [*prepared_rows.c, *(column for column in _further.c if column.name != "number")]
    both = prepared_rows.outerjoin(_further, _further.c.number == prepared_rows.c.number)
    chosen = sa.select(*columns).select_from(both).where(among(prepared_rows.c.number, sorted(numbers)))
    for row in connection.execute(chosen.order_by(prepared_rows.c.number)).mappings():
        yield row["number"], row_of(dict(row), tags.get(row["tag_set"], ()))


def tags_of_sets(connection: sa.Connection) -> dict[int, tuple[LegacyTag, ...]]:
    """Return the tags that rows bear together, by the number of the set."""
    sets: dict[int, tuple[LegacyTag, ...]] = {}
    for number, name, color, created_at in connection.execute(sa.select(prepared_tags)):
        sets[number] = (*sets.get(number, ()), LegacyTag(name, color, created_at))
    return sets


def told_sets(connection: sa.Connection) -> list[tuple[int, int, int]]:
    """Return the sets of tags of rows that are new or changed, with the first and the last number of those."""
    row = prepared_rows.c
    query = sa.select(row.tag_set, sa.func.min(row.number), sa.func.max(row.number)).select_from(standing_rows)
    found = connection.execute(query.where(standing.c.is_told).group_by(row.tag_set))
    return [(tag_set, first, last) for tag_set, first, last in found]
