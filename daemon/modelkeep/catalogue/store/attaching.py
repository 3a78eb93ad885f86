"""Attach source records to the contents of which they speak.

Which record belongs to which content follows from what is known at a moment, so it is asked for again whenever
something is learnt, for the paths that it concerns; asking twice changes nothing.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.digests import contents_with, digests_of
from modelkeep.catalogue.store.knowing import unheard
from modelkeep.catalogue.store.locations import locations_at, locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.records import kept_records
from modelkeep.catalogue.tables import (
    contents,
    locations,
    models,
    pending_import,
    record_claims,
    record_targets,
    source_records,
)
from modelkeep.domain.adopting import Attachment, How, KeptRecord, Target, Withdrawal, choose_targets, turned_away
from modelkeep.domain.orphans import Candidate, the_clear_one
from modelkeep.domain.values import Location, LocationState, PendingState
from modelkeep.domain.verdicts import STRONG, is_confirmed

_ATTACH = Bulk(upsert(record_targets))
_NAME = Bulk(insert_missing(record_targets))
_DIGESTS = (contents.c.tensors, contents.c.blake3)
_READ = sa.and_(
    sa.not_(locations.c.claimed), sa.not_(locations.c.doubted), locations.c.state != LocationState.MISSING
)
_WAITING = (PendingState.WAITING, PendingState.FAILED)


def attach_at(
    connection: sa.Connection, paths: Sequence[str] | None, read: Sequence[str] = ()
) -> tuple[list[Attachment], list[Withdrawal]]:
    """Attach the records that name these paths (None: any path) to what was read there.

    Where hashes tell by now of which of several files a record speaks, it is withdrawn from the others; of contents
    of which more was `read` since then it may have been too early to tell.
    """
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
    ids = {*connection.execute(query).scalars()}
    columns = record_targets.c
    unclear = sa.and_(among(columns.sha256, read), columns.how == How.AMBIGUOUS, sa.not_(source_records.c.gone))
    joined = record_targets.join(source_records, source_records.c.id == columns.record_id)
    if read:
        ids.update(connection.execute(sa.select(columns.record_id).select_from(joined).where(unclear)).scalars())
    return _attach_to_what_lies_there(connection, sorted(ids))


def may_attach(connection: sa.Connection, paths: Sequence[str], contents: Sequence[str] = ()) -> bool:
    """Return whether anything is to be done about what was read at these paths, or of these contents.

    A record names one of them or is of one, claims a hash of one, or its header is news.
    """
    for column, values in ((record_targets.c.path, paths), (record_targets.c.sha256, contents)):
        if connection.execute(sa.select(sa.literal(1)).where(among(column, values)).limit(1)).first() is not None:
            return True
    is_read = sa.not_(sa.or_(locations.c.claimed, locations.c.doubted))
    query = sa.select(locations.c.sha256).where(among(locations.c.path, paths), is_read)
    read = sorted({*connection.execute(query).scalars(), *contents})
    return bool(read and (unheard(connection, read) or unattached_claiming(connection, read)))


def attach_by_claims(connection: sa.Connection, ids: Sequence[int]) -> list[Attachment]:
    """Attach records to the one content of which a hash in them is surely true.

    Those are orphans, and those that lie beside models of which none of their hashes is true: they stay with these,
    and are lent to that content besides, unless it has one of their kind.
    """
    records = _strays(connection, ids)
    known = {record.id: record for record in records}
    clear = {
        record_id: sha256
        for record_id, candidates in candidates_by_claims(connection, records).items()
        if (sha256 := the_clear_one(known[record_id].record, candidates))
    }
    kinds = _kinds_of(connection, sorted(set(clear.values())))
    found = [
        _attachment(known[record_id], "", sha256, How.CLAIM)
        for record_id, sha256 in clear.items()
        if not known[record_id].attached or (sha256, known[record_id].record.kind) not in kinds
    ]
    _write(connection, found)
    return found


def _strays(connection: sa.Connection, ids: Sequence[int]) -> list[KeptRecord]:
    """Return those of these records that no content has of which one of their hashes is true."""
    orphans = set(orphan_ids(connection, ids))
    records = [
        record
        for record in kept_records(connection, sorted(orphans | _doubtful(connection, ids))).values()
        if record.id in orphans or (record.attached and not record.gone and not record.dropped)
    ]
    digests = digests_of(connection, sorted({sha256 for record in records for sha256 in record.attached}))
    return [
        record
        for record in records
        if How.OWNER not in record.attached.values()
        and not any(is_confirmed(record.record.claims, digests[sha256]) for sha256 in record.attached)
    ]


def _doubtful(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Return those of these records that claim a hash which tells files apart, and no SHA-256 of what they are of."""
    claimed, true = record_claims.c, record_claims.alias().c
    is_true = sa.exists().where(
        record_targets.c.record_id == claimed.record_id,
        true.record_id == claimed.record_id,
        true.value == record_targets.c.sha256,
    )
    strong = sa.and_(among(claimed.record_id, ids), claimed.kind.in_(sorted(STRONG)), sa.not_(is_true))
    return set(connection.execute(sa.select(claimed.record_id).where(strong)).scalars()) if ids else set()


def _kinds_of(connection: sa.Connection, hashes: Sequence[str]) -> set[tuple[str, str]]:
    """Return of which kinds these contents have records: pairs of content and kind."""
    if not hashes:
        return set()
    joined = record_targets.join(source_records, source_records.c.id == record_targets.c.record_id)
    query = sa.select(record_targets.c.sha256, source_records.c.kind).select_from(joined).distinct()
    chosen = sa.and_(among(record_targets.c.sha256, hashes), sa.not_(source_records.c.dropped))
    return {(row.sha256, row.kind) for row in connection.execute(query.where(chosen))}


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


def unattached_claiming(connection: sa.Connection, hashes: Sequence[str]) -> list[int]:
    """Return the ids of the records that claim a digest of one of these contents and are not attached to it."""
    if connection.execute(sa.select(record_claims.c.record_id).limit(1)).first() is None:
        return []
    owners: dict[str, set[str]] = {}
    for sha256, digests in digests_of(connection, hashes).items():
        for value in digests.values():
            owners.setdefault(value, set()).add(sha256)
    if not owners:
        return []
    query = sa.select(record_claims.c.record_id, record_claims.c.value).distinct()
    claimed = connection.execute(query.where(among(record_claims.c.value, list(owners)))).all()
    attached = attached_contents(connection, sorted({row.record_id for row in claimed}))
    return sorted({row.record_id for row in claimed if not owners[row.value] <= set(attached.get(row.record_id, ()))})


def unattached_claims(connection: sa.Connection) -> list[int]:
    """Return the ids of all orphans, and of records that claim the whole digest of a content that has them not."""
    found: set[int] = set(orphan_ids(connection))
    for owner, digest in ((models.c.sha256, models.c.sha256), *((contents.c.sha256, each) for each in _DIGESTS)):
        has_it = sa.exists().where(
            record_targets.c.record_id == record_claims.c.record_id, record_targets.c.sha256 == owner
        )
        query = sa.select(record_claims.c.record_id).join(owner.table, digest == record_claims.c.value).distinct()
        found.update(connection.execute(query.where(sa.not_(has_it))).scalars())
    return sorted(found)


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


def _attach_to_what_lies_there(
    connection: sa.Connection, ids: Sequence[int]
) -> tuple[list[Attachment], list[Withdrawal]]:
    records = kept_records(connection, ids)
    paths = {path for record in records.values() for path in record.record.models}
    lying = locations_at(connection, sorted(paths)) if paths else {}
    unread = _unread(connection, paths)
    digests = digests_of(connection, sorted({location.sha256 for location in lying.values()}))
    found: list[Attachment] = []
    withdrawn: list[Withdrawal] = []
    for record in records.values():
        targets = [_target(path, lying.get(path), path in unread) for path in record.record.models]
        chosen = choose_targets(record.record.claims, targets, digests)
        found += [
            _attachment(record, target.path, target.sha256, chosen[target.path])
            for target in targets
            if target.path in chosen
        ]
        withdrawn += [
            Withdrawal(record.id, record.record.kind, record.record.key, path, sha256)
            for path, sha256 in turned_away(record.record.claims, targets, digests).items()
            if record.attached.get(sha256) in (How.BESIDE, How.AMBIGUOUS)
        ]
    _write(connection, found)
    _withdraw(connection, withdrawn)
    # A content that lies at several of the paths is told of once.
    news = {(item.record_id, item.sha256): item for item in reversed(found)}
    return [item for item in news.values() if item.sha256 not in records[item.record_id].attached], withdrawn


def _withdraw(connection: sa.Connection, withdrawn: Sequence[Withdrawal]) -> None:
    """Have records name paths still, but speak no more of what lies there."""
    for each in withdrawn:
        columns = record_targets.c
        held = sa.and_(columns.record_id == each.record_id, columns.sha256 == each.sha256)
        connection.execute(sa.delete(record_targets).where(held))
    _NAME.run(connection, [{"record_id": each.record_id, "path": each.path, "sha256": ""} for each in withdrawn])


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
    for each in attachments:  # a path whose content is known waits no more, and a content that lies there did not go
        columns = record_targets.c
        waiting = sa.and_(columns.path == each.path, columns.sha256 == "")
        left = sa.and_(columns.path == "", columns.sha256 == each.sha256)
        connection.execute(
            sa.delete(record_targets).where(columns.record_id == each.record_id, sa.or_(waiting, left))
        )
    _ATTACH.run(
        connection,
        [
            {"record_id": each.record_id, "path": each.path, "sha256": each.sha256, "how": each.how.value}
            for each in attachments
        ],
    )
