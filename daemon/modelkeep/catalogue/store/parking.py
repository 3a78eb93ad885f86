"""Files that are not there: what becomes of their rows and of their locations, together."""

from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.store import offers, pending
from modelkeep.catalogue.store.locations import set_locations_missing
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import Location, PendingState


def park(connection: sa.Connection, parked: Sequence[Parked]) -> list[Parked]:
    """Record on rows why they could not be migrated; returns those for which that is news."""
    missing = [item.path for item in parked if item.state is PendingState.MISSING]
    if missing:
        set_locations_missing(connection, missing)
    return pending.park(connection, offers.with_offers(connection, parked))


def set_missing(connection: sa.Connection, paths: Sequence[str], reason: str, due_at: int) -> list[Location]:
    """Record that no file is at these paths; returns the locations that this changed."""
    pending.set_rows_missing(connection, paths, reason, due_at)
    return set_locations_missing(connection, paths)
