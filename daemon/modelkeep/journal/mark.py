"""How far the journal is known to have come, noted beside its folder: so that its loss can be told.

A journal that was deleted looks like one that has never been, and numbers would be given out twice. The mark is never
ahead of what is on the disk, for it is written after each sync; it may lag behind, and where it is missing nothing is
known. It is not synced itself: a sync costs more than knowing the last second is worth.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from modelkeep.journal.records import Damage
from modelkeep.journal.segments import segment_at
from modelkeep.journal.survey import Survey

_DIGITS = 20


class Mark(NamedTuple):
    """`first_seq` is that of the segment in which record `seq` is, the last one known; both 0 when none is."""

    first_seq: int = 0
    seq: int = 0


def mark_path(folder: Path) -> Path:
    """Return where the mark of a journal's folder lies: not in it, for it has to outlive it."""
    return folder.with_name(f"{folder.name}.seq")


def read_mark(folder: Path) -> Mark:
    """Return the mark of a journal, all zeros when there is none that can be read."""
    try:
        first_seq, seq = mark_path(folder).read_bytes().split()
        return Mark(int(first_seq), int(seq))
    except (OSError, ValueError):
        return Mark()


def write_mark(folder: Path, mark: Mark) -> None:
    """Note how far a journal has come; where that cannot be written, nothing but the knowledge is missing."""
    text = b" ".join(b"%0*d" % (_DIGITS, number) for number in mark) + b"\n"
    with contextlib.suppress(OSError):
        descriptor = os.open(mark_path(folder), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, text, 0)  # always as long as before: there is no moment without a mark
        finally:
            os.close(descriptor)


def find_loss(folder: Path, mark: Mark, survey: Survey) -> Damage | None:
    """Return what a journal has lost as a whole or at its end, None when nothing shows it.

    Args:
        folder: the journal's.
        mark: read before the survey was taken, for a daemon may be writing.
        survey: what the journal holds. A newest segment that is shorter than it was counts as cut off by a stop.
    """
    newest = max(survey.sizes, default=None)
    if mark.seq < survey.next_seq:
        return None
    segment = segment_at(folder, mark.first_seq).name
    if newest is None:
        return Damage(segment, 0, f"the journal was here up to record {mark.seq} and is gone; {_LOST}")
    if newest.first_seq < mark.first_seq or not survey.sizes[newest]:
        reason = f"the journal ends earlier than it did: records {survey.next_seq} to {mark.seq} are gone; {_LOST}"
        return Damage(segment, 0, reason)
    return None


_LOST = "its history is lost, but nothing else"
