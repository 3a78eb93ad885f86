"""Which source records have no content yet: which of them wait, and which contents may be theirs."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, is_filled
from modelkeep.catalogue.store.digests import contents_with, digests_of
from modelkeep.catalogue.store.locations import locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.tables import (
    contents,
    locations,
    models,
    pending_import,
    record_claims,
    record_targets,
    source_records,
)
from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.orphans import Candidate
from modelkeep.domain.values import LocationState, PendingState

_DIGESTS = (contents.c.tensors, contents.c.blake3)
_WAITING = (PendingState.WAITING, PendingState.FAILED)


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
        query = (
            sa.select(record_claims.c.record_id)
            .join(owner.table, sa.and_(is_filled(digest), digest == record_claims.c.value))
            .distinct()
        )
        found.update(connection.execute(query.where(sa.not_(has_it))).scalars())
    return sorted(found)


def waiting_records(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Return those of these records of which a file that they name is there and still to be read."""
    query = sa.select(record_targets.c.record_id, record_targets.c.path).where(record_targets.c.path != "")
    named = connection.execute(query.where(among(record_targets.c.record_id, ids))).all() if ids else []
    unread = unread_paths(connection, {row.path for row in named})
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


def unread_paths(connection: sa.Connection, paths: Collection[str]) -> set[str]:
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
