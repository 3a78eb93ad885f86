"""Questions about source records: what is known of a content, which records have no model, and who may be meant."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.catalogue.dialect import among, begins_with, below, through_index
from modelkeep.catalogue.store.digests import digests_of
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.records import kept_records, records_of
from modelkeep.catalogue.store.siblings import siblings_of
from modelkeep.catalogue.store.unattached import candidates, candidates_by_claims, orphan_ids
from modelkeep.catalogue.tables import FINGERPRINTS, locations, record_claims
from modelkeep.domain.adopting import KeptRecord, speaking_about
from modelkeep.domain.orphans import Neighbourhood, Orphan, folders_of, offers
from modelkeep.domain.sources import ModelSources
from modelkeep.domain.verdicts import Verdict, verdict

_NEIGHBOURS_MAX = 5_000


def sources_of(connection: sa.Connection, sha256: str) -> ModelSources:
    """Return what other tools know of a content, and what it was read to have."""
    records = records_of(connection, [sha256]).get(sha256, [])
    digests, model = digests_of(connection, [sha256])[sha256], get_model(connection, sha256)
    speaking = speaking_about(records, digests, model.size_bytes if model else 0)
    siblings = digests_of(connection, [sibling.sha256 for sibling in siblings_of(connection, sha256)])
    return ModelSources(sha256, tuple(speaking), digests, siblings)


def claiming(connection: sa.Connection, text: str) -> list[str]:
    """Return the contents of which a source claims a hash that begins so, and that is not refuted."""
    query = sa.select(record_claims.c.record_id).where(begins_with(record_claims.c.value, text)).distinct()
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


def orphans(connection: sa.Connection, among_ids: Sequence[int] | None = None) -> list[Orphan]:
    """Return the records, or those among some, that have no model, with the models that are offered to each.

    The oldest come first.
    """
    found = kept_records(connection, orphan_ids(connection, among_ids))
    return _with_offers(connection, [found[record_id] for record_id in sorted(found)])


def _with_offers(connection: sa.Connection, records: list[KeptRecord]) -> list[Orphan]:
    by_claims = candidates_by_claims(connection, records)
    by_size = contents_of_sizes(connection, {kept.record.size_bytes for kept in records} - {0})
    near = {
        sha256
        for folder in folders_of([kept.record for kept in records])
        for sha256 in _contents_in(connection, folder)
    }
    known = candidates(connection, sorted(near.union(*by_size.values())))
    neighbourhood = Neighbourhood(known[sha256] for sha256 in sorted(near & known.keys()))
    made = []
    for kept in records:
        sized = [known[sha256] for sha256 in by_size.get(kept.record.size_bytes, ()) if sha256 in known]
        made.append(Orphan(kept, tuple(offers(kept.record, [*sized, *by_claims.get(kept.id, ())], neighbourhood))))
    return made


def contents_of_sizes(connection: sa.Connection, sizes: Collection[int]) -> dict[int, set[str]]:
    """Return, for each of these sizes in bytes, the contents of which a file has it."""
    # No index begins with the size, but one that has it, and the path, is a fraction of the table.
    sized = locations.alias("sized")
    paths = through_index(sa.select(sized.c.path).where(among(sized.c.size_bytes, sizes)), sized, FINGERPRINTS)
    query = sa.select(locations.c.sha256, locations.c.size_bytes).where(locations.c.path.in_(paths))
    by_size: dict[int, set[str]] = {}
    for row in connection.execute(query) if sizes else ():
        by_size.setdefault(row.size_bytes, set()).add(row.sha256)
    return by_size


def _contents_in(connection: sa.Connection, folder: str) -> set[str]:
    """Return the contents that lie in a folder itself."""
    name = sa.func.substr(locations.c.path, len(storable_path(folder)) + 2)
    is_in_it = sa.and_(below(locations.c.path, folder), sa.func.instr(name, "/") == 0)
    return set(connection.execute(sa.select(locations.c.sha256).where(is_in_it).limit(_NEIGHBOURS_MAX)).scalars())
