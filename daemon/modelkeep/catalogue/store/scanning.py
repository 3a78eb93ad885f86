"""Compare what a scan found with what is known: only what differs becomes values."""

from collections.abc import Set
from dataclasses import dataclass

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import restored_path
from modelkeep.catalogue.dialect import below, raw_rows
from modelkeep.catalogue.store.locations import (
    failed_sizes_below,
    locations_at,
    locations_below,
    pending_paths_below,
)
from modelkeep.catalogue.tables import locations
from modelkeep.domain.values import Entry, Location, LocationState, PendingState

KEPT_MAX = 200
"""So many differences are kept until the next scan."""

SINGLY_MAX = 5_000
"""So many paths are asked for one by one; of more, all below their folder."""

_NUMBERS = ("path", "device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "birth_ns")


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs below a folder, and what is known there.

    `entries` are those of the files that are not known to be present just as they are, or wait in the queue;
    `known` are the locations of them, and those whose files were not found. `pending` are all paths in the queue,
    `failed_sizes` those of them whose rows failed, with the size that the file had then.
    """

    entries: list[Entry]
    known: list[Location]
    pending: dict[str, PendingState]
    failed_sizes: dict[str, int]

    @property
    def is_small(self) -> bool:
        """Whether it may be kept."""
        return len(self.entries) + len(self.known) + len(self.pending) + len(self.failed_sizes) <= KEPT_MAX


def compare_below(connection: sa.Connection, folder: str, entries: Set[Entry]) -> Compared:
    """Compare files that were found below a folder with what is known there, in one pass."""
    chosen = below(locations.c.path, folder)
    query = sa.select(*(locations.c[name] for name in _NUMBERS))
    differing = set(entries)
    for rows in raw_rows(connection, query.where(chosen, locations.c.state == LocationState.PRESENT)):
        # What the database spells in another way than the disk counts as different, and is then found to be the same.
        differing.symmetric_difference_update(rows)
    rest = differing & entries
    paths = {restored_path(row[0]) for row in differing - rest}
    unreachable = sa.select(locations.c.path).where(chosen, locations.c.state == LocationState.UNREACHABLE)
    paths.update(connection.execute(unreachable).scalars())
    pending = pending_paths_below(connection, folder)
    paths.update(entry[0] for entry in rest)
    paths.update(pending)
    if pending:
        rest.update(entry for entry in entries if entry[0] in pending)
    places = locations_at(connection, list(paths)).values() if len(paths) <= SINGLY_MAX else None
    return Compared(
        list(rest),
        list(places) if places is not None else [p for p in locations_below(connection, folder) if p.path in paths],
        pending,
        failed_sizes_below(connection, folder),
    )
