"""What records of other tools said of one content, for another with the same tensors that takes over from it."""

from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import insert_missing
from modelkeep.catalogue.store.knowing import apply_records, bases_of, keep_bases
from modelkeep.catalogue.store.siblings import record_heir
from modelkeep.catalogue.tables import record_targets, taken_images
from modelkeep.domain.applying import united
from modelkeep.domain.inheriting import Given
from modelkeep.domain.knowledge import Meaning


def given(connection: sa.Connection, heir: str, origin: str) -> Given:
    """Return what the records of two contents have said so far."""
    bases = bases_of(connection, [heir, origin])
    return Given(bases.get(heir, Meaning()), bases.get(origin, Meaning()))


def hand_over(connection: sa.Connection, heir: str, origin: str, now_ms: int) -> None:
    """Have the records of one content speak for another too; what the owner took away of them does not come back."""
    said = given(connection, heir, origin)
    keep_bases(connection, {heir: united(said.heir, said.origin)})
    for table in (record_targets, taken_images):
        _copy(connection, table, heir, origin)
    record_heir(connection, origin, heir)
    apply_records(connection, [heir], now_ms)


def _copy(connection: sa.Connection, table: sa.Table, heir: str, origin: str) -> None:
    """Write the rows of one content for another too, those that are not there yet."""
    values: list[Any] = [sa.literal(heir) if known is table.c.sha256 else known for known in table.c]
    chosen: sa.Select[Any] = sa.select(*values).where(table.c.sha256 == origin)
    connection.execute(insert_missing(table, [known.name for known in table.c], chosen))
