"""Tell in the operational log what the owner wants to see of what the journal records."""

from collections.abc import Iterable

from modelkeep.base.log import log_together
from modelkeep.domain.values import Record

_NEWS = frozenset(
    {
        "claim.confirmed",
        "clock.jumped",
        "daemon.started",
        "daemon.stopped",
        "import.finished",
        "import.started",
        "migration.finished",
        "recovery.rolled_back",
        "recovery.rolled_forward",
        "rescan.finished",
        "root.returned",
    }
)
_WARNINGS = frozenset(
    {
        "catalogue.lost",
        "claim.refuted",
        "hash.failed",
        "import.failed",
        "journal.damaged",
        "migration.conflicted",
        "migration.failed",
        "root.unreachable",
        "watch.limited",
        "watch.overflowed",
        "watch.repaired",
        "watch.restarted",
    }
)
_LEVELS = dict.fromkeys(_NEWS, "info") | dict.fromkeys(_WARNINGS, "warning")
"""Steps in between and events of single files are left to the journal: the log has one line for each model."""


def tell(records: Iterable[Record]) -> None:
    """Log those records of the journal that are news."""
    log_together(
        "journal",
        (
            (_LEVELS[event], event, {key: value for key, value in fields.items() if key != "migration"})
            for event, fields in records
            if event in _LEVELS and "source_row" not in fields  # of an import, whose end is told with its counts
        ),
    )
