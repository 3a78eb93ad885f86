"""What became of the rows that an import took, when the owner does not want what they became any more.

A row of a source that has neither a row in the queue nor a model is one that he dropped: another import leaves it
alone and says so, and takes it again when he asks for it.
"""

import sqlalchemy as sa

from modelkeep.catalogue.tables import imported_rows, locations, pending_import

_DROPPED = {"pending_id": 0, "sha256": ""}

FORGET_PENDING = sa.update(imported_rows).where(imported_rows.c.pending_id == sa.bindparam("b_id")).values(_DROPPED)
"""Record that the row `b_id` of the queue was dropped."""


def forget_pending(connection: sa.Connection, pending_id: int) -> None:
    """Record that a row of the queue was dropped."""
    connection.execute(FORGET_PENDING, {"b_id": pending_id})


def forget_model(connection: sa.Connection, sha256: str) -> None:
    """Record that a model is purged, before its locations go: rows migrated to it are known by their path."""
    at_its_paths = imported_rows.c.path.in_(sa.select(locations.c.path).where(locations.c.sha256 == sha256))
    waits = imported_rows.c.pending_id.in_(sa.select(pending_import.c.id))
    chosen = sa.or_(imported_rows.c.sha256 == sha256, at_its_paths)
    connection.execute(sa.update(imported_rows).where(chosen, sa.not_(waits)).values(_DROPPED))
