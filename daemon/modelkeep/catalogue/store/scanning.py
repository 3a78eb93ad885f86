"""Compare what a scan found with what is known: only what differs becomes values."""

from collections.abc import Set
from dataclasses import dataclass, field

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import restored_path
from modelkeep.catalogue.dialect import raw_rows, within
from modelkeep.catalogue.store.locations import locations_at, locations_within, queued_within
from modelkeep.catalogue.tables import locations
from modelkeep.domain.fingerprint import Entry
from modelkeep.domain.naming import Span
from modelkeep.domain.values import Location, LocationState, PendingState

KEPT_MAX = 200
"""So many differences are kept until the next scan."""

SINGLY_MAX = 5_000
"""So many paths are asked for one by one; of more, all in their span."""

_NUMBERS = ("path", "device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "birth_ns")


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs in a span of paths, and what is known there.

    `entries` are those of the files that are not known to be present just as they are, or wait in the queue;
    `known` are the locations of them, and those whose files were not found. `pending` are all paths in the queue,
    `failed_sizes` those of them whose rows failed, with the size that the file had then.
    """

    entries: list[Entry] = field(default_factory=list)
    known: list[Location] = field(default_factory=list)
    pending: dict[str, PendingState] = field(default_factory=dict)
    failed_sizes: dict[str, int] = field(default_factory=dict)

    def joined(self, other: "Compared") -> "Compared | None":
        """Return both, as long as that is not too much to be kept."""
        both = Compared(
            self.entries + other.entries,
            self.known + other.known,
            self.pending | other.pending,
            self.failed_sizes | other.failed_sizes,
        )
        size = len(both.entries) + len(both.known) + len(both.pending) + len(both.failed_sizes)
        return both if size <= KEPT_MAX else None


def compare_within(connection: sa.Connection, span: Span, entries: Set[Entry]) -> Compared:
    """Compare files that were found in a span of paths with what is known there, in one pass."""
    chosen = within(locations.c.path, span)
    query = sa.select(*(locations.c[name] for name in _NUMBERS))
    differing = set(entries)
    for rows in raw_rows(connection, query.where(chosen, locations.c.state == LocationState.PRESENT)):
        # What the database spells in another way than the disk counts as different, and is then found to be the same.
        differing.symmetric_difference_update(rows)
    rest = differing & entries
    paths = {restored_path(row[0]) for row in differing - rest}
    unreachable = sa.select(locations.c.path).where(chosen, locations.c.state == LocationState.UNREACHABLE)
    paths.update(connection.execute(unreachable).scalars())
    queued = list(queued_within(connection, span))
    pending = {path: state for path, state, _ in queued}
    paths.update(entry[0] for entry in rest)
    paths.update(pending)
    if pending:
        rest.update(entry for entry in entries if entry[0] in pending)
    places = locations_at(connection, list(paths)).values() if len(paths) <= SINGLY_MAX else None
    return Compared(
        list(rest),
        list(places) if places is not None else [p for p in locations_within(connection, span) if p.path in paths],
        pending,
        {path: size_bytes for path, state, size_bytes in queued if state is PendingState.FAILED},
    )
