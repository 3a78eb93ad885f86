"""Attach source records to the contents of which they speak.

Which record belongs to which content follows from what is known at a moment, so it is asked for again whenever
something is learnt, for the paths that it concerns; asking twice changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.digests import contents_with, digests_of
from modelkeep.catalogue.store.knowing import unheard
from modelkeep.catalogue.store.locations import locations_at, locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.records import kept_records
from modelkeep.catalogue.tables import (
    locations,
    pending_import,
    record_claims,
    record_targets,
    source_records,
)
from modelkeep.domain.adopting import Attachment, How, KeptRecord, Target, choose_targets
from modelkeep.domain.orphans import Candidate, the_clear_one
from modelkeep.domain.values import Location, LocationState, PendingState
from modelkeep.domain.verdicts import Digests

_ATTACH = Bulk(insert_missing(record_targets))
_READ = sa.and_(
    sa.not_(locations.c.claimed), sa.not_(locations.c.doubted), locations.c.state != LocationState.MISSING
)
_WAITING = (PendingState.WAITING, PendingState.FAILED)


def attach_at(connection: sa.Connection, paths: Sequence[str] | None) -> list[Attachment]:
    """Attach the records that name these paths (None: any path) to what was read there."""
    lies_there = record_targets.join(locations, locations.c.path == record_targets.c.path)
    other = record_targets.alias()
    is_attached = sa.exists().where(
        other.c.record_id == record_targets.c.record_id,
        other.c.path == record_targets.c.path,
        other.c.sha256 == locations.c.sha256,
    )
    # One whose file is gone waits for its first content still, and follows no other.
    may = sa.or_(sa.not_(source_records.c.gone), record_targets.c.sha256 == "")
    query = (
        sa.select(record_targets.c.record_id)
        .select_from(lies_there.join(source_records, source_records.c.id == record_targets.c.record_id))
        .where(_READ, sa.not_(is_attached), sa.not_(source_records.c.dropped), may)
    )
    if paths is not None:
        query = query.where(among(record_targets.c.path, paths))
    ids = sorted(set(connection.execute(query).scalars()))
    return _attach_to_what_lies_there(connection, ids)


def may_attach(connection: sa.Connection, paths: Sequence[str]) -> bool:
    """Return whether anything is to be done about what was read at these paths.

    A record names one of them, an orphan claims a hash of what lies there, or the header there is news.
    """
    named = sa.select(sa.literal(1)).where(among(record_targets.c.path, paths)).limit(1)
    if connection.execute(named).first() is not None:
        return True
    read = [location.sha256 for location in locations_at(connection, paths).values() if location.is_read]
    return bool(read and (unheard(connection, read) or orphans_claiming(connection, read)))


def attach_by_claims(connection: sa.Connection, records: Sequence[KeptRecord]) -> list[Attachment]:
    """Attach records without a model to the one content of which a hash in them is surely true."""
    found: list[Attachment] = []
    for record, candidates in candidates_by_claims(connection, records).items():
        kept = next(known for known in records if known.id == record)
        sha256 = the_clear_one(kept.record, candidates)
        if sha256:
            found.append(_attachment(kept, "", sha256, How.CLAIM))
    _write(connection, found)
    return found


def attach(connection: sa.Connection, record: KeptRecord, sha256: str, how: How) -> Attachment:
    """Attach a record to a content."""
    made = _attachment(record, "", sha256, how)
    _write(connection, [made])
    return made


def attached_contents(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the contents to which each of these records is attached."""
    query = sa.select(record_targets.c.record_id, record_targets.c.sha256).distinct()
    chosen = sa.and_(among(record_targets.c.record_id, ids), record_targets.c.sha256 != "")
    found: dict[int, list[str]] = {}
    for row in connection.execute(query.where(chosen).order_by(record_targets.c.sha256)).all() if ids else ():
        found.setdefault(row.record_id, []).append(row.sha256)
    return found


def orphan_ids(connection: sa.Connection, among_ids: Sequence[int] | None = None) -> list[int]:
    """Return the ids of the records that have no model, and wait for none that is to be read; the oldest first."""
    attached = sa.exists().where(record_targets.c.record_id == source_records.c.id, record_targets.c.sha256 != "")
    query = sa.select(source_records.c.id).where(sa.not_(attached), sa.not_(source_records.c.dropped))
    if among_ids is not None:
        query = query.where(among(source_records.c.id, among_ids))
    ids = list(connection.execute(query.order_by(source_records.c.id)).scalars())
    waiting = waiting_records(connection, ids)
    return [record_id for record_id in ids if record_id not in waiting]


def orphans_claiming(connection: sa.Connection, hashes: Sequence[str]) -> list[int]:
    """Return the ids of the records without a model that claim a digest of one of these contents."""
    values = {value for digests in digests_of(connection, hashes).values() for value in digests.values()}
    query = sa.select(record_claims.c.record_id).distinct()
    ids = connection.execute(query.where(among(record_claims.c.value, values))).scalars() if values else ()
    return orphan_ids(connection, sorted(ids)) if ids else []


def waiting_records(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Return those of these records of which a file that they name is there and still to be read."""
    query = sa.select(record_targets.c.record_id, record_targets.c.path).where(record_targets.c.path != "")
    named = connection.execute(query.where(among(record_targets.c.record_id, ids))).all() if ids else []
    unread = _unread(connection, {row.path for row in named})
    return {row.record_id for row in named if row.path in unread}


def candidates_by_claims(connection: sa.Connection, records: Sequence[KeptRecord]) -> dict[int, list[Candidate]]:
    """Return, for each record, the contents that were read to have a hash that it claims."""
    claims = {claim for record in records for claim in record.record.claims}
    by_claim = contents_with(connection, claims)
    hashes = sorted({sha256 for found in by_claim.values() for sha256 in found})
    known = candidates(connection, hashes)
    return {
        record.id: [
            known[sha256]
            for sha256 in sorted({each for claim in record.record.claims for each in by_claim.get(claim, ())})
            if sha256 in known
        ]
        for record in records
    }


def candidates(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, Candidate]:
    """Return those of these contents that were read, as what an orphan may be about."""
    read = {
        sha256: [location.path for location in found if location.is_read]
        for sha256, found in locations_of_all(connection, hashes).items()
    }
    models, digests = get_models(connection, hashes), digests_of(connection, hashes)
    return {
        sha256: Candidate(sha256, models[sha256].size_bytes, tuple(paths), digests[sha256])
        for sha256, paths in read.items()
        if paths and sha256 in models
    }


def _attach_to_what_lies_there(connection: sa.Connection, ids: Sequence[int]) -> list[Attachment]:
    records = kept_records(connection, ids)
    paths = {path for record in records.values() for path in record.record.models}
    lying = locations_at(connection, sorted(paths)) if paths else {}
    unread = _unread(connection, paths)
    digests = digests_of(connection, sorted({location.sha256 for location in lying.values()}))
    found = [item for record in records.values() for item in _chosen(record, lying, unread, digests)]
    _write(connection, found)
    # A content that lies at several of the paths is told of once.
    news = {(item.record_id, item.sha256): item for item in reversed(found)}
    return [item for item in news.values() if item.sha256 not in records[item.record_id].attached]


def _chosen(
    record: KeptRecord, lying: Mapping[str, Location], unread: Collection[str], digests: Mapping[str, Digests]
) -> Iterable[Attachment]:
    targets = [_target(path, lying.get(path), path in unread) for path in record.record.models]
    chosen = choose_targets(record.record.claims, targets, digests)
    return [
        _attachment(record, target.path, target.sha256, chosen[target.path])
        for target in targets
        if target.path in chosen
    ]


def _target(path: str, location: Location | None, waits: bool) -> Target:
    is_known = location is not None and location.is_read and location.state is not LocationState.MISSING
    return Target(path, location.sha256 if location is not None and is_known else "", waits)


def _unread(connection: sa.Connection, paths: Collection[str]) -> set[str]:
    """Return those of these paths at which a file lies that is still to be read."""
    if not paths:
        return set()
    queued = sa.select(pending_import.c.path).where(
        among(pending_import.c.path, paths), pending_import.c.state.in_(_WAITING)
    )
    unread = sa.select(locations.c.path).where(
        among(locations.c.path, paths),
        sa.or_(locations.c.claimed, locations.c.doubted),
        locations.c.state == LocationState.PRESENT,
    )
    return {*connection.execute(queued).scalars(), *connection.execute(unread).scalars()}


def _attachment(record: KeptRecord, path: str, sha256: str, how: How) -> Attachment:
    return Attachment(record.id, record.record.kind, record.record.key, path, sha256, how)


def _write(connection: sa.Connection, attachments: Sequence[Attachment]) -> None:
    for each in attachments:  # a path whose content is known waits no more
        columns = record_targets.c
        waiting = sa.and_(columns.record_id == each.record_id, columns.path == each.path, columns.sha256 == "")
        connection.execute(sa.delete(record_targets).where(waiting))
    _ATTACH.run(
        connection,
        [
            {"record_id": each.record_id, "path": each.path, "sha256": each.sha256, "how": each.how.value}
            for each in attachments
        ],
    )
