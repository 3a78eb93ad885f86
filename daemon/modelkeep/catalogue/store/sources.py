"""Questions about source records: what is known of a content, which records have no model, and who may be meant."""

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, below
from modelkeep.catalogue.store.attaching import candidates, candidates_by_claims, orphan_ids
from modelkeep.catalogue.store.digests import digests_of
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.records import kept_records, records_of
from modelkeep.catalogue.tables import locations, record_claims
from modelkeep.domain.adopting import KeptRecord, speaking_about
from modelkeep.domain.orphans import Orphan, folders_of, offers
from modelkeep.domain.sources import ModelSources
from modelkeep.domain.verdicts import Verdict, verdict

_NEIGHBOURS_MAX = 500


def sources_of(connection: sa.Connection, sha256: str) -> ModelSources:
    """Return what other tools know of a content, and what it was read to have."""
    records = records_of(connection, [sha256]).get(sha256, [])
    digests, model = digests_of(connection, [sha256])[sha256], get_model(connection, sha256)
    return ModelSources(sha256, tuple(speaking_about(records, digests, model.size_bytes if model else 0)), digests)


def claiming(connection: sa.Connection, text: str) -> list[str]:
    """Return the contents of which a source claims a hash that begins so, and that is not refuted."""
    query = sa.select(record_claims.c.record_id).where(record_claims.c.value.startswith(text)).distinct()
    records = kept_records(connection, list(connection.execute(query).scalars()))
    found = sorted({sha256 for record in records.values() for sha256 in record.attached})
    digests = digests_of(connection, found)
    return sorted(
        {
            sha256
            for record in records.values()
            for sha256 in record.attached
            for claim in record.record.claims
            if claim.value.startswith(text) and verdict(claim, digests[sha256]) is not Verdict.REFUTED
        }
    )


def orphans(connection: sa.Connection, limit: int = 0, offset: int = 0) -> list[Orphan]:
    """Return the records that have no model, the oldest first, with the models that are offered to each."""
    ids = orphan_ids(connection)
    found = kept_records(connection, ids[offset : offset + limit] if limit else ids[offset:])
    return _with_offers(connection, [found[record_id] for record_id in sorted(found)])


def orphan(connection: sa.Connection, record_id: int) -> Orphan | None:
    """Return a record that has no model, with the models that are offered to it; None: there is no such orphan."""
    found = kept_records(connection, orphan_ids(connection, [record_id]))
    return next(iter(_with_offers(connection, list(found.values()))), None)


def _with_offers(connection: sa.Connection, records: list[KeptRecord]) -> list[Orphan]:
    by_claims = candidates_by_claims(connection, records)
    near = _contents_near(connection, records)
    known = candidates(connection, sorted({sha256 for hashes in near.values() for sha256 in hashes}))
    made = []
    for record in records:
        found = {each.sha256: each for each in by_claims.get(record.id, ())}
        found |= {sha256: known[sha256] for sha256 in near.get(record.id, ()) if sha256 in known}
        made.append(Orphan(record, tuple(offers(record.record, found.values()))))
    return made


def _contents_near(connection: sa.Connection, records: list[KeptRecord]) -> dict[int, set[str]]:
    """Return, for each record, the contents that lie where it lies, or have the size that it tells."""
    sizes = sorted({record.record.size_bytes for record in records if record.record.size_bytes})
    query = sa.select(locations.c.sha256, locations.c.size_bytes).distinct()
    by_size: dict[int, set[str]] = {}
    for row in connection.execute(query.where(among(locations.c.size_bytes, sizes))) if sizes else ():
        by_size.setdefault(row.size_bytes, set()).add(row.sha256)
    by_folder = {folder: _contents_in(connection, folder) for folder in folders_of([r.record for r in records])}
    return {
        record.id: by_size.get(record.record.size_bytes, set()).union(
            *(by_folder[folder] for folder in folders_of([record.record]))
        )
        for record in records
    }


def _contents_in(connection: sa.Connection, folder: str) -> set[str]:
    query = sa.select(locations.c.sha256, locations.c.path).where(below(locations.c.path, folder))
    rows = connection.execute(query.limit(_NEIGHBOURS_MAX)).all()
    return {row.sha256 for row in rows if row.path.rsplit("/", 1)[0] == folder}
