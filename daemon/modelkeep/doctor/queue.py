"""Checks of the queue: rows that nobody would ever take up, and rows whose files no root contains."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelkeep.doctor.findings import Finding, counted, examples, fine, problem, warning
from modelkeep.doctor.knowledge import Knowledge, StoredRow
from modelkeep.doctor.premises import Premises
from modelkeep.domain.naming import Root, root_of
from modelkeep.domain.retry import LONGEST_DELAY_SECONDS
from modelkeep.domain.values import PendingState, normalise_sha256

_FAR_MS = round(2 * LONGEST_DELAY_SECONDS * 1000)
"""No row is put off for longer than half of this."""

_STATES = frozenset(state.value for state in PendingState)
_WAIT_AGAIN = "`modelkeep doctor --repair` puts them back in the queue"


@dataclass(frozen=True, slots=True)
class QueueDefects:
    """Rows in which something is wrong, each in one list at most.

    `stateless` are in an unknown state, `groundless` in conflict with no model, `remote` due so late that a
    clock must have been wrong. `outside` lie in no root; such a row may be in another list too.
    """

    stateless: tuple[StoredRow, ...] = ()
    groundless: tuple[StoredRow, ...] = ()
    remote: tuple[StoredRow, ...] = ()
    outside: tuple[StoredRow, ...] = ()

    @property
    def stuck(self) -> tuple[StoredRow, ...]:
        """The rows that would never be taken up, or not for long."""
        return self.stateless + self.groundless + self.remote


def judge_queue(
    rows: Iterable[StoredRow], contents: Collection[str], roots: Sequence[Root], now_ms: int
) -> QueueDefects:
    """Return the rows in which something is wrong.

    Args:
        rows: the queue.
        contents: hashes of the models that there are, as far as rows in conflict name them.
        roots: the configured ones.
        now_ms: the present time.
    """
    every = list(rows)
    return QueueDefects(
        tuple(row for row in every if row.state not in _STATES),
        tuple(row for row in every if row.state == PendingState.CONFLICT and not _is_grounded(row, contents)),
        tuple(row for row in every if _is_timed(row) and row.due_at > now_ms + _FAR_MS),
        tuple(row for row in every if root_of(row.path, roots) is None),
    )


def _is_grounded(row: StoredRow, contents: Collection[str]) -> bool:
    return normalise_sha256(row.sha256) == row.sha256 and row.sha256 in contents


def _is_timed(row: StoredRow) -> bool:
    return row.state in _STATES and row.state != PendingState.CONFLICT


def find_queue_defects(premises: Premises, knowledge: Knowledge) -> QueueDefects:
    """Return the rows of the catalogue's queue in which something is wrong."""
    return judge_queue(knowledge.queue, knowledge.contents, premises.roots, premises.now_ms)


def check_queue(premises: Premises, knowledge: Knowledge) -> Iterator[Finding]:
    """Tell of rows of the queue that will not be migrated as they are."""
    defects = find_queue_defects(premises, knowledge)
    for rows, what in (
        (defects.stateless, "in an unknown state"),
        (defects.groundless, "in conflict with a model that does not exist"),
    ):
        if rows:
            sentence = f"{counted(len(rows), 'row stands', 'rows stand')} {what}: {_named(rows)}"
            yield problem("queue", sentence, _WAIT_AGAIN, repairable=True)
    if defects.remote:
        late = counted(len(defects.remote), "row is", "rows are")
        sentence = f"{late} due in more than two days: {_named(defects.remote)}"
        remedy = f"{_WAIT_AGAIN}; was the clock of this machine wrong?"
        yield warning("queue", sentence, remedy, repairable=True)
    if defects.outside:
        yield _outside(defects.outside)
    if not (defects.stuck or defects.outside):
        yield fine("queue", f"{counted(len(knowledge.queue), 'row')}, all in order")


def _outside(rows: Sequence[StoredRow]) -> Finding:
    folders = sorted({row.path.rpartition("/")[0] or "/" for row in rows})
    named = counted(len(rows), "row names a file", "rows name files")
    sentence = f"{named} in none of the configured roots, in {examples(folders, 3)}"
    remedy = (
        "add those folders as roots, or import again with --map OLD=NEW if they have another name on this machine,"
        " or forget the rows with `modelkeep pending drop`"
    )
    return warning("queue", sentence, remedy)


def _named(rows: Sequence[StoredRow]) -> str:
    return examples([f"{row.id} ({row.path})" for row in rows])
