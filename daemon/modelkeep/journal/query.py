"""What somebody asks of the journal, as a decision about one record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache

from modelkeep.journal.needles import Needles, for_event, for_failures
from modelkeep.journal.records import timestamp

_FAILING_ENDINGS = (".failed", ".conflicted", ".refuted")
_FAILING_EVENTS = frozenset(
    {
        "journal.damaged",
        "journal.records_lost",
        "journal.repaired",
        "root.unreachable",
        "watch.limited",
        "watch.overflowed",
        "watch.repaired",
    }
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that a timestamp can spell."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which records are wanted; an empty value asks for nothing.

    Args:
        model: a SHA-256 or its beginning (6 digits or more), a path, or a part of a file's or a model's name; the
            whole story of what it names is wanted, through renames and new keys.
        event: a glob for the event's name, such as `migration.*`.
        since_ms: records from this moment on, in milliseconds since 1970.
        failed: only records that tell of something that went wrong.
        after: only records with a greater sequence number.
        limit: only the last so many of them; 0 for all.
    """

    model: str = ""
    event: str = ""
    since_ms: int = 0
    failed: bool = False
    after: int = 0
    limit: int = 0

    def wants(self, record: Mapping[str, object]) -> bool:
        """Return whether a record is wanted, leaving `model` and `limit` aside: they take more than one record."""
        seq, event, ts = record["seq"], str(record["event"]), str(record["ts"])
        return (
            isinstance(seq, int)
            and seq > self.after
            and (not self.event or fnmatchcase(event, self.event))
            and ts >= self.since_ts
            and (not self.failed or tells_of_failure(record))
        )

    @property
    def is_narrow(self) -> bool:
        """Whether there may be segments in which nothing is wanted, leaving `model` aside."""
        return bool(self.event or self.failed or self.since_ts)

    @property
    def since_ts(self) -> str:
        """`since_ms` as records spell it; empty: from the beginning. Such texts compare as their moments do."""
        return _spelled(self.since_ms) if self.since_ms > 0 else ""

    def needles(self) -> Needles:
        """Return what the lines of all wanted records contain, leaving `model` aside."""
        return for_event(self.event) if self.event else _OF_FAILURES if self.failed else Needles()


def is_failing(event: str) -> bool:
    """Return whether an event by itself means that something went wrong."""
    return event.endswith(_FAILING_ENDINGS) or event in _FAILING_EVENTS


def tells_of_failure(record: Mapping[str, object]) -> bool:
    """Return whether a record says that something went wrong."""
    return is_failing(str(record.get("event", ""))) or bool(record.get("error"))


@cache
def _spelled(moment_ms: int) -> str:
    return timestamp(_EPOCH + timedelta(milliseconds=min(moment_ms, _LAST_MS)))


_OF_FAILURES = for_failures(_FAILING_ENDINGS, sorted(_FAILING_EVENTS))
