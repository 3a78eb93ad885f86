"""Attach source records to the contents of which they speak.

Which record belongs to which content follows from what is known at a moment, so it is asked for again whenever
something is learnt, for the paths that it concerns; asking twice changes nothing.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.digests import digests_of
from modelkeep.catalogue.store.knowing import unheard
from modelkeep.catalogue.store.locations import locations_at
from modelkeep.catalogue.store.records import kept_records
from modelkeep.catalogue.store.unattached import candidates_by_claims, orphan_ids, unattached_claiming, unread_paths
from modelkeep.catalogue.tables import (
    locations,
    record_claims,
    record_targets,
    source_records,
)
from modelkeep.domain.adopting import Attachment, How, KeptRecord, Target, Withdrawal, choose_targets, turned_away
from modelkeep.domain.orphans import the_clear_one
from modelkeep.domain.values import Location, LocationState
from modelkeep.domain.verdicts import STRONG, is_confirmed

_ATTACH = Bulk(upsert(record_targets))
_NAME = Bulk(insert_missing(record_targets))
_READ = sa.and_(
    sa.not_(locations.c.claimed), sa.not_(locations.c.doubted), locations.c.state != LocationState.MISSING
)


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


def _attach_to_what_lies_there(
    connection: sa.Connection, ids: Sequence[int]
) -> tuple[list[Attachment], list[Withdrawal]]:
    records = kept_records(connection, ids)
    paths = {path for record in records.values() for path in record.record.models}
    lying = locations_at(connection, sorted(paths)) if paths else {}
    unread = unread_paths(connection, paths)
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
