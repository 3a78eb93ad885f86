"""Files that are not there: what becomes of their rows and of their locations, together."""

from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.store import offers, pending
from modelkeep.catalogue.store.locations import set_locations_missing
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import Location, PendingState


def park(connection: sa.Connection, parked: Sequence[Parked]) -> list[Parked]:
    """Record on rows why they could not be migrated; returns those for which that is news."""
    missing = {item.pending_id: item.path for item in parked if item.state is PendingState.MISSING}
    rows = pending.get_pendings(connection, list(missing)) if missing else {}
    # A row that was renamed or migrated meanwhile tells nothing of what lies at its path of before.
    paths = [row.path for row in rows.values() if row.path == missing[row.id]]
    if paths:
        set_locations_missing(connection, paths)
    return pending.park(connection, offers.with_offers(connection, parked))


def set_missing(connection: sa.Connection, paths: Sequence[str], reason: str, due_at: int) -> list[Location]:
    """Record that no file is at these paths; returns the locations that this changed."""
    pending.set_rows_missing(connection, paths, reason, due_at)
    return set_locations_missing(connection, paths)
