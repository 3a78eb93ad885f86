"""What contents were read to have, and which contents have what a record claims."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, is_filled
from modelkeep.catalogue.store.contents import contents_of
from modelkeep.catalogue.tables import contents, models
from modelkeep.domain.knowledge import HashClaim
from modelkeep.domain.verdicts import Digests, Verdict, known_digests, verdict


def digests_of(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, Digests]:
    """Return what each of these contents was read to have, as far as that is known."""
    kept = contents_of(connection, hashes) if hashes else {}
    return {sha256: known_digests(kept.get(sha256), sha256) for sha256 in hashes}


def contents_with(connection: sa.Connection, claims: Collection[HashClaim]) -> dict[HashClaim, list[str]]:
    """Return, for claims, the contents of which they are true; for those that are true of none, nothing."""
    values = {claim.value for claim in claims}
    found: set[str] = set()
    for column in (models.c.sha256, contents.c.tensors, contents.c.autov1, contents.c.blake3):
        query = sa.select(column.table.c.sha256).where(is_filled(column), among(column, values))
        found.update(connection.execute(query).scalars() if values else ())
    for value in values:  # AutoV2 and AutoV3 are the beginnings of other digests
        for column in (models.c.sha256, contents.c.tensors) if len(value) < 64 else ():
            begins = sa.and_(is_filled(column), column >= value, column < value + "g")
            found.update(connection.execute(sa.select(column.table.c.sha256).where(begins)).scalars())
    digests = digests_of(connection, sorted(found))
    true = {
        claim: [sha256 for sha256, known in digests.items() if verdict(claim, known) is Verdict.CONFIRMED]
        for claim in claims
    }
    return {claim: hashes for claim, hashes in true.items() if hashes}
