"""Keep source records: each in the place of the one of the same kind and key, with what it claims and names."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing, next_ids
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.digests import digests_of
from modelkeep.catalogue.store.records import kept_records, set_gone, targets_of
from modelkeep.catalogue.tables import locations, record_claims, record_images, record_targets, source_records
from modelkeep.domain.adopting import Arrival, How, RecordTaking, stays
from modelkeep.domain.images import is_video
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import Grade, HashClaim, ImageRank, meaning_as_json
from modelkeep.domain.versions import versions_as_json

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_WRITTEN = (
    "kind",
    "key",
    "folder",
    "digest",
    "stem",
    "original_path",
    "size_bytes",
    "standing",
    "updated_at",
    "meaning_json",
    "owned_json",
    "raw_json",
    "claims_json",
    "images_json",
    "remarks_json",
    "versions_json",
    "file_bytes",
    "file_mtime_ns",
    "last_seen",
    "gone",
    "dropped",
)
_COMPARED = (
    "digest",
    "meaning_json",
    "owned_json",
    "claims_json",
    "images_json",
    "remarks_json",
    "versions_json",
    "dropped",
    "gone",
)
"""What says that a record is another: its digest, and what this version of modelkeep reads out of it."""

_INSERT = Bulk(sa.insert(source_records))
_UPDATE = Bulk(
    sa.update(source_records)
    .where(source_records.c.id == sa.bindparam("b_id"))
    .values({name: sa.bindparam(f"b_{name}", type_=source_records.c[name].type) for name in _WRITTEN})
)
_CLAIM = Bulk(insert_missing(record_claims))
_IMAGE = Bulk(insert_missing(record_images))
RANKS = list(ImageRank)
"""As numbers: the first one is the best."""
_TARGET = Bulk(insert_missing(record_targets))
_SEEN = Bulk(
    sa.update(source_records)
    .where(source_records.c.id == sa.bindparam("b_id"))
    .values(
        {
            name: sa.bindparam(f"b_{name}", type_=source_records.c[name].type)
            for name in ("file_bytes", "file_mtime_ns", "last_seen")
        }
    )
)

Put = tuple[Arrival, int, RecordTaking]
"""A record that was kept, its id, and what was done with it."""


def put_records(connection: sa.Connection, arrivals: Sequence[Arrival], now_ms: int) -> list[Put]:
    """Keep records, each in the place of the one of the same kind and key; of several such the last one counts."""
    latest = {(arrival.record.kind, arrival.record.key): arrival for arrival in arrivals}
    known = _known(connection, latest)
    _part_from_earlier_contents(connection, latest, known)
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    put: dict[tuple[str, str], tuple[int, RecordTaking]] = {}
    for name, arrival in latest.items():
        row, values = known.get(name), _values(arrival, now_ms)
        if row is None:
            fresh.append(values)
            continue
        values["dropped"] = bool(row["dropped"]) and row["digest"] == values["digest"]
        differs = any(row[column] != values[column] for column in _COMPARED)
        put[name] = (row["id"], RecordTaking.UPDATED if differs else RecordTaking.UNCHANGED)
        if differs:
            changed.append({"b_id": row["id"], **_bound(values, _WRITTEN)})
        elif arrival.file_bytes is not None and any(row[name] != values[name] for name in _FACTS[:2]):
            seen.append({"b_id": row["id"], **_bound(values, _FACTS)})
    _INSERT.run(connection, [{**row, "first_seen": now_ms} for row in fresh])
    _UPDATE.run(connection, changed)
    _SEEN.run(connection, seen)
    put |= {name: (row["id"], RecordTaking.TAKEN) for name, row in _known(connection, _names(fresh)).items()}
    written = [(latest[name], *told) for name, told in put.items()]
    news = [item for item in written if item[2] is not RecordTaking.UNCHANGED]
    _put_claims(connection, news)
    _put_images(connection, news)
    _put_targets(connection, written)
    return [(latest[name], *put[name]) for name in latest]


def restore_records(
    connection: sa.Connection, restored: Sequence[tuple[Arrival, Mapping[str, Any]]], now_ms: int
) -> list[int]:
    """Keep records with what an archive says became of them, each as one of its own; returns their ids."""
    ids = list(next_ids(connection, source_records, len(restored)))
    rows = [
        {"id": record_id, **_values(arrival, now_ms), **facts}
        for record_id, (arrival, facts) in zip(ids, restored, strict=True)
    ]
    _INSERT.run(connection, rows)
    arrivals = (arrival for arrival, _ in restored)
    _put_claims(connection, [(*each, RecordTaking.TAKEN) for each in zip(arrivals, ids, strict=True)])
    return ids


def _known(connection: sa.Connection, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return what is held of records of a kind and key: the present one, else the last that is gone."""
    wanted = set(names)
    columns = [source_records.c[name] for name in ("id", "kind", "key", *_FACTS, *_COMPARED)]
    query = sa.select(*columns).where(among(source_records.c.key, [key for _, key in wanted]))
    rows = connection.execute(query.order_by(sa.not_(source_records.c.gone), source_records.c.id)).mappings().all()
    return {(row["kind"], row["key"]): dict(row) for row in rows if (row["kind"], row["key"]) in wanted}


def _part_from_earlier_contents(
    connection: sa.Connection,
    arrivals: Mapping[tuple[str, str], Arrival],
    known: dict[tuple[str, str], Mapping[str, Any]],
) -> None:
    """Leave a record to the contents that it was about when what its file says anew is about others."""
    changed = {row["id"]: name for name, row in known.items() if row["digest"] != arrivals[name].record.digest}
    held = {each.id: each for each in kept_records(connection, sorted(changed)).values() if each.attached}
    digests = digests_of(connection, sorted({sha256 for each in held.values() for sha256 in each.attached}))
    news = {record_id: arrivals[changed[record_id]].record for record_id in held}
    lying = _lying_at(connection, {path for record in news.values() for path in record.models})
    left = [
        record_id
        for record_id, record in news.items()
        if not stays(held[record_id], record, {lying.get(path, "") for path in record.models} - {""}, digests)
    ]
    set_gone(connection, left)
    for record_id in left:
        del known[changed[record_id]]


def _lying_at(connection: sa.Connection, paths: Collection[str]) -> dict[str, str]:
    """Return which contents lie at paths, as far as that is known."""
    query = sa.select(locations.c.path, locations.c.sha256).where(among(locations.c.path, paths))
    return {row.path: row.sha256 for row in connection.execute(query)} if paths else {}


def _names(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(row["kind"], row["key"]) for row in rows]


_FACTS = ("file_bytes", "file_mtime_ns", "last_seen")


def _bound(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {f"b_{name}": values[name] for name in names}


def _values(arrival: Arrival, now_ms: int) -> dict[str, Any]:
    record = arrival.record
    return {
        "kind": record.kind,
        "key": record.key,
        "folder": record.key.rpartition("/")[0],
        "digest": record.digest,
        "stem": record.stem,
        "original_path": record.original_path,
        "size_bytes": record.size_bytes,
        "standing": record.standing.value,
        "updated_at": record.updated_at,
        "meaning_json": _json(meaning_as_json(record.meaning)),
        "owned_json": _json(sorted(record.owned)),
        "raw_json": _json(record.raw),
        "claims_json": _json([claim.as_json() for claim in record.claims]),
        "images_json": json_text([[image.path, image.rank.value] for image in record.images]),
        "remarks_json": _json(list(record.remarks)),
        "versions_json": _json(versions_as_json(record.versions)),
        "file_bytes": arrival.file_bytes,
        "file_mtime_ns": arrival.file_mtime_ns,
        "last_seen": now_ms,
        "gone": False,
        "dropped": False,
    }


def _json(value: object) -> str:
    """Return a foreign value as JSON; half a character, which no text can hold, is replaced."""
    text = json_text(value, spell=str)
    if text.isascii() and "\\ud" not in text:
        return text
    return json_text(_whole(json.loads(text)))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {whole_text(key): _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def whole_text(text: str) -> str:
    """Return a foreign text without halves of characters."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _put_claims(connection: sa.Connection, written: Sequence[Put]) -> None:
    ids = [record_id for _, record_id, _ in written]
    if ids:
        connection.execute(sa.delete(record_claims).where(among(record_claims.c.record_id, ids)))
    _CLAIM.run(
        connection,
        [
            {"record_id": record_id, "kind": claim.kind.value, "value": claim.value, **_facts(claim)}
            for arrival, record_id, _ in written
            for claim in arrival.record.claims
        ],
    )


def _facts(claim: HashClaim) -> dict[str, int | None]:
    """Return what a file was when a hash was made of it; nothing for one that says so of no file."""
    if claim.grade is not Grade.A:
        return {"size_bytes": None, "mtime_ns": None}
    return {"size_bytes": claim.size_bytes, "mtime_ns": claim.mtime_ns}


def _put_images(connection: sa.Connection, written: Sequence[Put]) -> None:
    """Have records name the images that they name now; one that was kept for an orphan stays kept."""
    named = [
        {"record_id": record_id, "path": image.path, "rank": RANKS.index(image.rank)}
        for arrival, record_id, _ in written
        for image in arrival.record.images
        if not is_video(image.path)
    ]
    _IMAGE.run(connection, named)


def _put_targets(connection: sa.Connection, written: Sequence[Put]) -> None:
    """Have records name the paths that they name now; what they are attached to stays."""
    held = targets_of(connection, [record_id for _, record_id, _ in written])
    new: list[dict[str, Any]] = []
    for arrival, record_id, _ in written:
        rows, named = held.get(record_id, []), set(arrival.record.models)
        known = {row.path for row in rows if row.path}
        new += [{"record_id": record_id, "path": path, "sha256": "", "how": How.BESIDE} for path in named - known]
        for row in rows:
            if row.path and row.path not in named:
                columns = record_targets.c
                connection.execute(
                    sa.delete(record_targets).where(columns.record_id == record_id, columns.path == row.path)
                )
                if row.sha256:  # what lay there has it still
                    new.append({"record_id": record_id, "path": "", "sha256": row.sha256, "how": row.how})
    _TARGET.run(connection, new)
