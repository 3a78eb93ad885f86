"""Source records: what other tools say of models, kept whole."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among
from modelkeep.catalogue.tables import record_claims, record_targets, source_records
from modelkeep.domain.adopting import How, KeptRecord
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    ImageFile,
    ImageRank,
    SourceRecord,
    Standing,
    meaning_from_json,
)
from modelkeep.domain.versions import versions_from_json


def set_gone(connection: sa.Connection, ids: Sequence[int]) -> list[tuple[str, str]]:
    """Record that the files of records are there no more; returns kind and key of those for which that is news."""
    chosen = sa.and_(among(source_records.c.id, ids), sa.not_(source_records.c.gone))
    columns = (source_records.c.kind, source_records.c.key)
    news = [(row.kind, row.key) for row in connection.execute(sa.select(*columns).where(chosen))] if ids else []
    if news:
        connection.execute(sa.update(source_records).where(chosen).values(gone=True))
    return news


def set_dropped(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Record that the owner does not want records."""
    chosen = among(source_records.c.id, ids)
    connection.execute(sa.update(source_records).where(chosen).values(dropped=True))


def forget_records_of(connection: sa.Connection, sha256: str) -> None:
    """Delete the records that are attached to a content and to no other; the others are no more of it."""
    columns = record_targets.c
    others = sa.select(columns.record_id).where(columns.sha256 != sha256, columns.sha256 != "")
    own = sa.select(columns.record_id).where(columns.sha256 == sha256, columns.record_id.not_in(others))
    connection.execute(sa.delete(source_records).where(source_records.c.id.in_(own)))
    connection.execute(sa.delete(record_targets).where(columns.sha256 == sha256))


def remember_asked(connection: sa.Connection, asked: Mapping[int, Iterable[str]]) -> None:
    """Record about which texts of records the owner was asked."""
    for record_id, texts in asked.items():
        chosen = source_records.c.id == record_id
        connection.execute(sa.update(source_records).where(chosen).values(asked_json=json_text(sorted(texts))))


def kept_records(connection: sa.Connection, ids: Sequence[int]) -> dict[int, KeptRecord]:
    """Return records by their ids, with what they are attached to."""
    if not ids:
        return {}
    rows = connection.execute(sa.select(source_records).where(among(source_records.c.id, ids))).all()
    targets = targets_of(connection, ids)
    return {row.id: _kept(row, targets.get(row.id, [])) for row in rows}


def records_of(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[KeptRecord]]:
    """Return the records that are attached to each of these contents."""
    if not hashes:
        return {}
    query = sa.select(record_targets.c.record_id, record_targets.c.sha256).distinct()
    pairs = connection.execute(query.where(among(record_targets.c.sha256, hashes))).all()
    kept = kept_records(connection, sorted({row.record_id for row in pairs}))
    found: dict[str, list[KeptRecord]] = {}
    for record_id, sha256 in sorted((row.record_id, row.sha256) for row in pairs):
        found.setdefault(sha256, []).append(kept[record_id])
    return found


def told_of_versions(connection: sa.Connection, hashes: Sequence[str]) -> set[str]:
    """Return those of these contents of which a record tells several versions: their digests choose among these."""
    joined = record_targets.join(source_records, source_records.c.id == record_targets.c.record_id)
    tells = sa.and_(among(record_targets.c.sha256, hashes), source_records.c.versions_json != "[]")
    query = sa.select(record_targets.c.sha256).select_from(joined).where(tells)
    return set(connection.execute(query).scalars()) if hashes else set()


def claims_on_files(connection: sa.Connection, paths: Sequence[str]) -> dict[str, list[HashClaim]]:
    """Return the hashes that were made of the files at these paths, as far as these are what they were then."""
    if not paths:
        return {}
    columns = record_claims.c
    joined = record_targets.join(record_claims, columns.record_id == record_targets.c.record_id)
    query = sa.select(record_targets.c.path, columns.kind, columns.value, columns.size_bytes, columns.mtime_ns)
    made = query.select_from(joined).where(among(record_targets.c.path, paths), columns.mtime_ns.is_not(None))
    found: dict[str, list[HashClaim]] = {}
    for row in connection.execute(made):
        claim = HashClaim(HashKind(row.kind), row.value, Grade.A, row.size_bytes, row.mtime_ns)
        found.setdefault(row.path, []).append(claim)
    return found


def targets_of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[sa.Row[*tuple[Any, ...]]]]:
    """Return what each of these records names and is attached to."""
    found: dict[int, list[sa.Row[*tuple[Any, ...]]]] = {}
    query = sa.select(record_targets).where(among(record_targets.c.record_id, ids))
    for row in connection.execute(query).all() if ids else ():
        found.setdefault(row.record_id, []).append(row)
    return found


def _kept(row: sa.Row[*tuple[Any, ...]], targets: Sequence[sa.Row[*tuple[Any, ...]]]) -> KeptRecord:
    record = SourceRecord(
        kind=row.kind,
        key=row.key,
        digest=row.digest,
        models=tuple(sorted({target.path for target in targets if target.path})),
        original_path=row.original_path,
        stem=row.stem,
        size_bytes=row.size_bytes,
        meaning=meaning_from_json(json.loads(row.meaning_json)),
        owned=frozenset(json.loads(row.owned_json)),
        standing=Standing(row.standing),
        updated_at=row.updated_at,
        raw=json.loads(row.raw_json),
        claims=tuple(HashClaim.from_json(claim) for claim in json.loads(row.claims_json)),
        images=tuple(ImageFile(path, ImageRank(rank)) for path, rank in json.loads(row.images_json)),
        remarks=tuple(json.loads(row.remarks_json)),
        versions=versions_from_json(json.loads(row.versions_json)),
    )
    attached = {target.sha256: How(target.how) for target in targets if target.sha256}
    return KeptRecord(
        row.id,
        record,
        row.gone,
        row.dropped,
        row.first_seen,
        row.last_seen,
        tuple(json.loads(row.asked_json)),
        attached,
    )
