"""Checks of the journal: continuity, checksums, and migrations that were cut short."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelkeep.doctor.database import is_there
from modelkeep.doctor.findings import FIRST_START, Finding, counted, examples, fine, note, problem, warning
from modelkeep.doctor.premises import Premises
from modelkeep.journal.mark import Mark, find_loss, read_mark
from modelkeep.journal.records import Damage
from modelkeep.journal.segments import list_segments
from modelkeep.journal.soundness import check
from modelkeep.journal.survey import Survey, TornTail, take_survey

_ABOUT_A_LOSS = "restore a backup of journal/ before the daemon starts; without one it continues from there by itself"
_NEXT_START = "the next start of the daemon does so, and so does `modelkeep doctor --repair`"


def check_journal(premises: Premises, *, knows_models: bool = False) -> Iterator[Finding]:
    """Look through every record.

    Args:
        premises: where it lies.
        knows_models: whether the catalogue holds any: then there has been a journal.

    Raises:
        JournalError: a segment cannot be read.
    """
    folder = premises.directory.journal
    mark = read_mark(folder)
    if not list_segments(folder):
        yield _judge_absence(premises, mark, knows_models=knows_models)
        return
    damages = check(folder)
    if damages and premises.is_at_work:
        # A line that was being written is whole by now; what is said of it is not said twice.
        again = check(folder)
        damages = [damage for damage in damages if damage in again]
    survey = take_survey(folder)
    loss = find_loss(folder, mark, survey)
    torn = None if premises.is_at_work else survey.torn_tail
    yield from _judge(damages, torn)
    if loss is not None:
        yield problem("journal", loss.reason, _ABOUT_A_LOSS)
    if not damages and loss is None:
        records = survey.next_seq - 1
        yield fine("journal", f"{counted(records, 'record')} up to now, none missing and none damaged")
    unfinished = survey.unfinished.records()
    if unfinished and not premises.is_at_work:
        paths = examples([str(record.get("path", migration)) for migration, record in unfinished.items()])
        sentence = f"{counted(len(unfinished), 'migration was', 'migrations were')} interrupted: {paths}"
        yield warning("journal", sentence, f"complete them: {_NEXT_START}", repairable=True)


def _judge_absence(premises: Premises, mark: Mark, *, knows_models: bool) -> Finding:
    loss = find_loss(premises.directory.journal, mark, Survey())
    if loss is not None and is_there(premises):
        return problem("journal", loss.reason, _ABOUT_A_LOSS)
    if knows_models:
        sentence = "the journal of this catalogue is gone; its history is lost, but nothing else"
        return problem("journal", sentence, _ABOUT_A_LOSS)
    return note("journal", "there is none yet", FIRST_START)


def _judge(damages: Sequence[Damage], torn: TornTail | None) -> Iterator[Finding]:
    middle = [damage for damage in damages if torn is None or not _is_at(damage, torn)]
    if middle:
        places = examples([f"{damage.segment} at byte {damage.offset}: {damage.reason}" for damage in middle])
        sentence = f"it is damaged in {counted(len(middle), 'record')}: {places}"
        remedy = (
            "the damaged records are skipped and left as they are; models and images do not depend on them;"
            " check the disk (smartctl -a)"
        )
        yield problem("journal", sentence, remedy)
    if torn is not None:
        sentence = f"its last record was cut off by a stop ({torn.bytes_cut:,} bytes in {torn.segment.name})"
        yield warning("journal", sentence, f"remove it: {_NEXT_START}", repairable=True)


def _is_at(damage: Damage, torn: TornTail) -> bool:
    return (damage.segment, damage.offset) == (torn.segment.name, torn.offset)


def last_seq(folder: Path) -> int:
    """Return the number of the journal's last record, 0 when there is none."""
    return max(take_survey(folder).next_seq - 1, read_mark(folder).seq)
