"""Stage 1 for rows that were prepared as the tables hold them: each table by one statement for all of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from modelkeep.base.portions import in_portions
from modelkeep.base.set_aside import SetAside
from modelkeep.catalogue.columns import PathText
from modelkeep.catalogue.dialect import next_ids, upsert
from modelkeep.catalogue.prepared import SAID_AFTER
from modelkeep.catalogue.store.bulk import Bulk, all_rows
from modelkeep.catalogue.store.import_run import make_tags
from modelkeep.catalogue.store.import_survey import (
    IS_PLAIN,
    Way,
    careful_numbers,
    prepared_rows,
    rows_in_place,
    stand,
    standing,
    standing_rows,
    tags_of_sets,
    told_sets,
)
from modelkeep.catalogue.store.locations import fingerprint_values
from modelkeep.catalogue.tables import (
    imported_rows,
    locations,
    model_tags,
    models,
    pending_import,
    pending_model_tags,
)
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyTag, PlainRow, StagedRow
from modelkeep.domain.values import LocationState, PendingState

_FINGERPRINT = ("device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "birth_ns")

_FOUND_AT_ONCE = 2000

_passing = sa.MetaData()
_found = sa.Table(
    "found",
    _passing,
    sa.Column("number", sa.Integer, primary_key=True),
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


@dataclass(frozen=True, slots=True)
class TakenAtOnce:
    """What became of prepared rows: `left` are those that have to be taken one by one."""

    plain: Collection[PlainRow] = ()
    models: int = 0
    unchanged: int = 0
    dropped: int = 0
    left: Sequence[StagedRow] = ()


def take_prepared(
    connection: sa.Connection,
    about: tuple[str, str],
    prepared: Path,
    now_ms: int,
    singly: Sequence[StagedRow],
    on_disk: Mapping[int, Fingerprint],
    *,
    again: bool,
) -> TakenAtOnce:
    """Write those prepared rows that meet nothing known into all tables that they belong to.

    Args:
        connection: has their file attached.
        about: the kind of the source, and which it is.
        prepared: that file; what is told of most rows lies beside it.
        now_ms: the time.
        singly: those of them that are to be taken one by one, as far as that was known before.
        on_disk: files that are there, by the numbers of the rows.
        again: as for `import_rows`.
    """
    known = {staged.number for staged in singly}
    counts = stand(connection, *about, again=again, careful=known)
    careful = careful_numbers(connection)
    # What another import took meanwhile counts as unchanged already.
    left = [staged for staged in singly if staged.number in careful]
    missed = rows_in_place(connection, *about, careful - known)
    left += [StagedRow(row, on_disk=on_disk.get(number), number=number) for number, row in missed.items()]
    is_any_plain = bool({Way.AS_MODEL, Way.WAITING} & counts.keys())
    plain = _take_plain(connection, about, prepared, now_ms, on_disk) if is_any_plain else ()
    standing.drop(connection, checkfirst=False)
    dropped = counts[Way.DROPPED]
    return TakenAtOnce(plain, counts[Way.AS_MODEL], counts[Way.UNCHANGED] + dropped, dropped, left)


def _take_plain(
    connection: sa.Connection, about: tuple[str, str], prepared: Path, now_ms: int, on_disk: Mapping[int, Fingerprint]
) -> Collection[PlainRow]:
    _passing.create_all(connection, checkfirst=False)
    for some in in_portions(on_disk.items(), _FOUND_AT_ONCE):
        found = ({"number": number, **fingerprint_values(fingerprint)} for number, fingerprint in some)
        _FOUND.run(connection, list(found))
    _name_tags(connection)
    # Ids may have gaps: so the number of a row that waits says which is its own.
    id_ = standing.c.number + (next_ids(connection, pending_import, 0).start - 1)
    for statement in (*_of_models(now_ms), *_of_queue(id_, about[0], now_ms), _remembered(id_, *about)):
        connection.execute(statement)
    plain = SetAside(prepared.parent, _told(connection, id_))
    _passing.drop_all(connection, checkfirst=False)
    return plain


_IS_MODEL, _WAITS = standing.c.way == Way.AS_MODEL, standing.c.way == Way.WAITING
_IS_THERE = _found.c.number.is_not(None)
_Id = sa.ColumnElement[int]
"""The id of a row in the queue, if it waits."""


_FOUND, _SET_TAGS, _SET_IDS = (Bulk(sa.insert(table)) for table in (_found, _set_tags, _set_ids))


def _name_tags(connection: sa.Connection) -> None:
    """Make the tags of what is new, and note the ids of each set's."""
    sets = tags_of_sets(connection)
    told = {number: (first, last) for number, first, last in told_sets(connection) if number in sets}
    wanted: dict[str, LegacyTag] = {}
    for number in sorted(told, key=lambda number: told[number][0]):
        wanted.update((tag.name, tag) for tag in sets[number] if tag.color or tag.name not in wanted)
    # Of those that differ in their colour the last one counts, as row by row.
    for number in sorted(told, key=lambda number: told[number][1]):
        wanted.update((tag.name, tag) for tag in sets[number] if tag.color)
    tag_ids = make_tags(connection, wanted.values())
    ids = {number: sorted({tag_ids[tag.name] for tag in sets[number]}) for number in told}
    _SET_TAGS.run(connection, [{"tag_set": number, "tag_id": tag} for number, held in ids.items() for tag in held])
    texts = ({"tag_set": number, "ids": ", ".join(map(str, held))} for number, held in ids.items())
    _SET_IDS.run(connection, list(texts))


def _told(connection: sa.Connection, id_: _Id) -> Iterator[Any]:
    row = prepared_rows.c
    columns = (row.path, row.row_key, row.claim, _id_or_none(id_))
    return all_rows(connection, sa.select(*columns).select_from(standing_rows).where(IS_PLAIN))


def _id_or_none(id_: _Id) -> _Id:
    return sa.case((_WAITS, id_), else_=0)


def _of_models(now_ms: int) -> Iterator[sa.Insert]:
    row = prepared_rows.c
    yield _into(
        models,
        _IS_MODEL,
        {"sha256": row.claim, "name": row.name + row.file_name}
        | {name: row[name] for name in ("path", "type", "base", "size_bytes", "created_at", "meta_json")},
    )
    there = sa.case((_IS_THERE, LocationState.PRESENT.value), else_=LocationState.MISSING.value)
    said = row.said_before + sa.func.coalesce(_set_ids.c.ids, "") + SAID_AFTER
    yield _into(
        locations,
        _IS_MODEL,
        {"path": row.path, "sha256": row.claim, "state": there, "claimed": sa.true(), "said_json": said}
        | {"first_seen": sa.literal(now_ms), "last_seen": sa.literal(now_ms)}
        | {name: _found.c[name] for name in _FINGERPRINT},
    )
    tagged = {"model_hash": row.claim, "tag_id": _set_tags.c.tag_id}
    # Hashes are random: in the order of the source each goes to another page, of more than are kept in memory.
    yield _into(model_tags, _IS_MODEL, tagged, in_order=True)


def _of_queue(id_: _Id, kind: str, now_ms: int) -> Iterator[sa.Insert]:
    row = prepared_rows.c
    named = ("path", "name", "type", "base", "size_bytes", "created_at", "meta_json")
    yield _into(
        pending_import,
        _WAITS,
        {name: row[name] for name in named}
        | {"id": id_, "source": _text(kind), "due_at": sa.literal(now_ms)}
        | {
            "state": sa.case((_IS_THERE, PendingState.WAITING.value), else_=PendingState.MISSING.value),
            "last_error": sa.case((_IS_THERE, ""), else_="there is no file at " + row.path),
        },
    )
    yield _into(pending_model_tags, _WAITS, {"model_id": id_, "tag_id": _set_tags.c.tag_id})


def _remembered(id_: _Id, kind: str, source: str) -> sa.Insert:
    row = prepared_rows.c
    held = {name: row[name] for name in ("row_key", "digest", "path")}
    about = {"kind": _text(kind), "source": _text(source), "pending_id": _id_or_none(id_)}
    return _into(imported_rows, IS_PLAIN, {**about, **held, "sha256": row.claim}, overwrites=True)


def _into(
    table: sa.Table,
    condition: sa.ColumnElement[bool],
    values: Mapping[str, Any],
    *,
    overwrites: bool = False,
    in_order: bool = False,
) -> sa.Insert:
    """Return the statement that fills columns of a table from the chosen rows, if asked in order of the values."""
    joined = standing_rows
    used = {column.table for value in values.values() for column in _columns(value)}
    if _found in used:
        joined = joined.outerjoin(_found, _found.c.number == standing.c.number)
    if _set_ids in used:
        joined = joined.outerjoin(_set_ids, _set_ids.c.tag_set == prepared_rows.c.tag_set)
    if _set_tags in used:
        joined = joined.join(_set_tags, _set_tags.c.tag_set == prepared_rows.c.tag_set)
    chosen = sa.select(*values.values()).select_from(joined).where(standing.c.number > 0, condition)
    chosen = chosen.order_by(*(values.values() if in_order else ()))
    return (upsert(table) if overwrites else sa.insert(table)).from_select(list(values), chosen)


def _columns(value: sa.ColumnElement[Any]) -> Iterator[sa.Column[Any]]:
    return (part for part in sa.sql.visitors.iterate(value) if isinstance(part, sa.Column))


def _text(text: str) -> sa.ColumnElement[str]:
    return sa.literal(text, PathText())
