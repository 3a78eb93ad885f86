"""Which migrations have been planned and not brought to an end: what recovery has to look at."""

import re
from collections.abc import Iterable, Mapping

from modelkeep.journal.records import decode, read_head

_TURNING_POINT = re.compile(
    rb'\{"seq":[0-9]+,"ts":"[^"\\]*","event":"'
    rb"(?:(migration\.planned)|migration\.finished|migration\.failed|migration\.conflicted|recovery\.rolled_back)"
    rb'",(?:"migration":"([^"\\]+)",)?'
)
"""The beginning of a line that opens or closes a migration. After those that close it nothing is left to do;
`recovery.rolled_forward` is not among them, a `migration.finished` follows it."""


class UnfinishedMigrations:
    """The planned lines of open migrations, oldest first.

    Lines are kept, and parsed when they are asked for: of a million migrations in a journal a handful is open.

    Args:
        closed: gets the ids that are closed without having been planned here; None when nobody wants them.
    """

    def __init__(self, closed: list[str] | None = None) -> None:
        self._planned: dict[str, bytes] = {}
        self._closed = closed

    def note(self, line: bytes) -> None:
        """Take a sound line into account."""
        match = _TURNING_POINT.match(line) if b'"migration":' in line else None
        if match is None:
            return
        planned, spelled = match.groups()
        migration = spelled.decode(errors="replace") if spelled else _parse_migration(line)
        known = self._planned.pop(migration, None)
        if planned and migration:
            self._planned[migration] = line
        elif known is None and migration and self._closed is not None:
            self._closed.append(migration)

    @property
    def opened(self) -> Mapping[str, bytes]:
        """The planned lines of what is open, by id."""
        return self._planned

    def take(self, opened: Mapping[str, bytes], closed: Iterable[str]) -> None:
        """Take a whole segment into account: what it leaves open, and what it closes of those before."""
        for migration in (*closed, *opened):
            self._planned.pop(migration, None)
        self._planned |= opened

    def records(self) -> Mapping[str, dict[str, object]]:
        """Return the `migration.planned` record of each open migration by its id."""
        return {migration: decode(line) for migration, line in self._planned.items()}

    def oldest_seq(self) -> int | None:
        """Return the sequence number of the oldest open plan."""
        oldest = next(iter(self._planned.values()), b"")
        head = read_head(oldest)
        return head.seq if head else None


def _parse_migration(line: bytes) -> str:
    """Return the id that is spelled with escapes, or nothing where there is none."""
    head = read_head(line)
    return head.migration if head else ""
