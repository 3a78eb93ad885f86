"""Stage 1 for rows that were prepared as the tables hold them: each table by one statement for all of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.columns import PathText
from modelkeep.catalogue.dialect import upsert
from modelkeep.catalogue.prepared import ROWS, TAGS
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.locations import fingerprint_values
from modelkeep.catalogue.tables import (
    imported_rows,
    locations,
    model_tags,
    models,
    pending_import,
    pending_model_tags,
)
from modelkeep.domain.legacy import StagedRow
from modelkeep.domain.values import LocationState, PendingState

SCHEMA = "prepared"
"""The name under which the file of the rows is there."""

_file = sa.MetaData(schema=SCHEMA)
_rows = sa.Table("rows", _file, *(sa.Column(name, sa.Text) for name in ROWS))
_tags = sa.Table("tags", _file, sa.Column(TAGS[0], sa.Integer), sa.Column(TAGS[1], PathText))

_FINGERPRINT = ("device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "birth_ns")

_passing = sa.MetaData()
_chosen = sa.Table(
    "chosen",
    _passing,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.Integer, nullable=False),
    *(sa.Column(name, locations.c[name].type) for name in _FINGERPRINT),
    prefixes=["TEMPORARY"],
)
_set_tags = sa.Table(
    "set_tags", _passing, sa.Column("tag_set", sa.Integer), sa.Column("tag_id", sa.Integer), prefixes=["TEMPORARY"]
)
_set_ids = sa.Table(
    "set_ids",
    _passing,
    sa.Column("tag_set", sa.Integer, primary_key=True),
    sa.Column("ids", sa.Text),
    prefixes=["TEMPORARY"],
)


@dataclass(slots=True)
class PreparedRows:
    """Which prepared rows are to be taken: as models, and into the queue, there with the ids that they get."""

    models: list[StagedRow] = field(default_factory=list)
    waiting: list[tuple[StagedRow, int]] = field(default_factory=list)


def take_prepared(
    connection: sa.Connection, about: tuple[str, str], now_ms: int, taken: PreparedRows, tag_ids: Mapping[str, int]
) -> None:
    """Write prepared rows into all tables that they belong to.

    Args:
        connection: has their file attached.
        about: the kind of the source, and which it is.
        now_ms: the time.
        taken: which rows.
        tag_ids: by name; each tag of the rows is among them.
    """
    if not (taken.models or taken.waiting):
        return
    _passing.create_all(connection, checkfirst=False)
    _choose(connection, [*((staged, _NO_ID) for staged in taken.models), *taken.waiting])
    _name_tags(connection, tag_ids)
    for statement in (*_of_models(now_ms), *_of_queue(about[0], now_ms), _remembered(*about)):
        connection.execute(statement)
    _passing.drop_all(connection, checkfirst=False)


_NO_ID = 0
_IS_MODEL, _WAITS = _chosen.c.id == _NO_ID, _chosen.c.id != _NO_ID
_IS_THERE = _chosen.c.inode.is_not(None)


def _choose(connection: sa.Connection, taken: Sequence[tuple[StagedRow, int]]) -> None:
    # Numbers alone go in one text: a statement of many parameters takes ten times as long.
    absent = {staged.prepared: new_id for staged, new_id in taken if staged.on_disk is None}
    listed = sa.func.json_each(json.dumps(absent)).table_valued("key", "value")
    both = sa.select(sa.cast(listed.c.key, sa.Integer), listed.c.value)
    connection.execute(sa.insert(_chosen).from_select(["number", "id"], both))
    _CHOOSE.run(
        connection,
        [
            {"number": staged.prepared, "id": new_id, **fingerprint_values(staged.on_disk)}
            for staged, new_id in taken
            if staged.on_disk is not None
        ],
    )


_CHOOSE, _SET_TAGS, _SET_IDS = (Bulk(sa.insert(table)) for table in (_chosen, _set_tags, _set_ids))


def _name_tags(connection: sa.Connection, tag_ids: Mapping[str, int]) -> None:
    """Note the ids of the tags of each set; a set of rows that are not taken may have tags that are none of ours."""
    sets: dict[int, list[int]] = {}
    for tag_set, name in connection.execute(sa.select(_tags.c.tag_set, _tags.c.name)):
        if name in tag_ids:
            sets.setdefault(int(tag_set), []).append(tag_ids[name])
    _SET_TAGS.run(connection, [{"tag_set": number, "tag_id": tag} for number, held in sets.items() for tag in held])
    texts = ({"tag_set": number, "ids": ", ".join(map(str, sorted(held)))} for number, held in sets.items())
    _SET_IDS.run(connection, list(texts))


def _of_models(now_ms: int) -> Iterator[sa.Insert]:
    row = _rows.c
    yield _into(
        models,
        _IS_MODEL,
        {"sha256": row.claim, "name": row.model_name}
        | {name: row[name] for name in ("path", "type", "base", "size_bytes", "created_at", "meta_json")},
    )
    there = sa.case((_IS_THERE, LocationState.PRESENT.value), else_=LocationState.MISSING.value)
    said = row.said_before + sa.func.coalesce(_set_ids.c.ids, "") + row.said_after
    yield _into(
        locations,
        _IS_MODEL,
        {"path": row.path, "sha256": row.claim, "state": there, "claimed": sa.true(), "said_json": said}
        | {"first_seen": sa.literal(now_ms), "last_seen": sa.literal(now_ms)}
        | {name: _chosen.c[name] for name in _FINGERPRINT},
    )
    yield _into(model_tags, _IS_MODEL, {"model_hash": row.claim, "tag_id": _set_tags.c.tag_id})


def _of_queue(kind: str, now_ms: int) -> Iterator[sa.Insert]:
    row = _rows.c
    named = ("path", "name", "type", "base", "size_bytes", "created_at", "meta_json")
    yield _into(
        pending_import,
        _WAITS,
        {name: row[name] for name in named}
        | {"id": _chosen.c.id, "source": _text(kind), "due_at": sa.literal(now_ms)}
        | {
            "state": sa.case((_IS_THERE, PendingState.WAITING.value), else_=PendingState.MISSING.value),
            "last_error": sa.case((_IS_THERE, ""), else_="there is no file at " + row.path),
        },
    )
    yield _into(pending_model_tags, _WAITS, {"model_id": _chosen.c.id, "tag_id": _set_tags.c.tag_id})


def _remembered(kind: str, source: str) -> sa.Insert:
    row = _rows.c
    held = {name: row[name] for name in ("row_key", "digest", "path")}
    about = {"kind": _text(kind), "source": _text(source), "pending_id": _chosen.c.id}
    return _into(imported_rows, sa.true(), {**about, **held, "sha256": row.claim}, overwrites=True)


def _into(
    table: sa.Table, condition: sa.ColumnElement[bool], values: Mapping[str, Any], *, overwrites: bool = False
) -> sa.Insert:
    """Return the statement that fills columns of a table from the chosen rows."""
    joined: sa.FromClause = _chosen.join(_rows, _rows.c.number == _chosen.c.number)
    used = {column.table for value in values.values() for column in _columns(value)}
    if _set_ids in used:
        joined = joined.outerjoin(_set_ids, _set_ids.c.tag_set == _rows.c.tag_set)
    if _set_tags in used:
        joined = joined.join(_set_tags, _set_tags.c.tag_set == _rows.c.tag_set)
    chosen = sa.select(*values.values()).select_from(joined).where(_chosen.c.number > 0, condition)
    return (upsert(table) if overwrites else sa.insert(table)).from_select(list(values), chosen)


def _columns(value: sa.ColumnElement[Any]) -> Iterator[sa.Column[Any]]:
    return (part for part in sa.sql.visitors.iterate(value) if isinstance(part, sa.Column))


def _text(text: str) -> sa.ColumnElement[str]:
    return sa.literal(text, PathText())
