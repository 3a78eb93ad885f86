"""One reading of the whole journal when it is opened: where it goes on, what is damaged, what is unfinished."""

from dataclasses import dataclass, field
from pathlib import Path

from modelkeep.journal.records import Damage, is_sound, read_head, why_unsound
from modelkeep.journal.sealed import SealedSegments, Summary
from modelkeep.journal.segments import Segment, lines_forward, list_segments
from modelkeep.journal.unfinished import UnfinishedMigrations


@dataclass(frozen=True, slots=True)
class TornTail:
    """The end of the newest segment that is no whole record: `bytes_cut` bytes from `offset` on."""

    segment: Segment
    offset: int
    bytes_cut: int
    reason: str


@dataclass(slots=True)
class Survey:
    """What the journal holds.

    `sizes` has every segment, oldest first, with its bytes; `next_seq` is the number of the next record; `damages`
    are damaged records that others follow.
    """

    sizes: dict[Segment, int] = field(default_factory=dict)
    next_seq: int = 1
    damages: list[Damage] = field(default_factory=list)
    unfinished: UnfinishedMigrations = field(default_factory=UnfinishedMigrations)
    torn_tail: TornTail | None = None


def take_survey(folder: Path) -> Survey:
    """Read every segment of the journal once.

    Raises:
        JournalError: a segment cannot be read.
    """
    survey = Survey()
    segments = list_segments(folder)
    sealed = SealedSegments(folder)
    newest_line_offset = 0
    for segment in segments:
        summary = sealed.recall(segment) if segment is not segments[-1] else None
        if summary is None:
            summary, newest_line_offset = _read_segment(segment)
        if segment is not segments[-1]:
            sealed.remember(segment, summary)
        _take(segment, summary, survey)
    sealed.save()
    _find_torn_tail(survey, newest_line_offset)
    return survey


def _take(segment: Segment, summary: Summary, survey: Survey) -> None:
    survey.sizes[segment] = summary.size_bytes
    survey.damages += summary.damages
    survey.unfinished.take(summary.opened, summary.closed)
    # The name counts too: a segment stays newer than the one before, whatever became of that one's last records.
    survey.next_seq = max(survey.next_seq, segment.first_seq, summary.next_seq)


def _read_segment(segment: Segment) -> tuple[Summary, int]:
    """Read a segment; returns the offset of its last line too."""
    # Hundreds of thousands of lines may be read before the daemon is ready: each gets a checksum and a search.
    offset = line_offset = 0
    closed, damages = list[str](), list[Damage]()
    unfinished = UnfinishedMigrations(closed)
    newest_sound, note = b"", unfinished.note
    for line in lines_forward(segment):
        if is_sound(line):
            newest_sound = line
            note(line)
        else:
            damages.append(Damage(segment.name, offset, why_unsound(line)))
        line_offset, offset = offset, offset + len(line)
    newest = read_head(newest_sound)
    next_seq = newest.seq + 1 if newest else 0
    return Summary(offset, next_seq, tuple(damages), unfinished.opened, tuple(closed)), line_offset


def _find_torn_tail(survey: Survey, newest_line_offset: int) -> None:
    """Take the damage out of the list that is the newest segment's last line."""
    if not survey.damages:
        return
    newest, size = list(survey.sizes.items())[-1]
    damage = survey.damages[-1]
    if (damage.segment, damage.offset) == (newest.name, newest_line_offset):
        survey.damages.pop()
        survey.torn_tail = TornTail(newest, damage.offset, size - damage.offset, damage.reason)
