"""Decide when a file is complete. Pure: what was seen and the time are arguments.

A file is taken at once when nobody writes it and its format proves it whole, or when it has not been touched for
long; else after `settle_seconds` without an event and without a change of size or mtime. A file that its own format
proves to be cut off is not taken, however long it lies still.
"""

from dataclasses import replace
from enum import StrEnum

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.formats import Completeness
from modelkeep.domain.frozen import frozen


class Verdict(StrEnum):
    """What happens to a file that is looked at."""

    TAKE = "take"
    WAIT = "wait"
    CUT_OFF = "cut off"
    """Proven incomplete and quiet: the owner should know."""
    NO_MODEL = "no model"
    """Empty, or a pointer stub."""


@frozen
class Watched:
    """A file that may still be written.

    `changed_at` (seconds, monotonic) is when it last had an event or looked different, `closed` whether its last
    event said that nobody writes it any more (closed after writing, or moved in).
    """

    path: str
    changed_at: float
    fingerprint: Fingerprint | None = None
    closed: bool = False


@frozen
class Look:
    """One look at a file: its fingerprint, what its bytes say, and whether somebody holds it open for writing.

    `being_written` is None where the file system cannot tell. `age_seconds` is the time since its mtime by the wall
    clock (negative when it lies in the future). `has_control_file` tells of an `.aria2` file beside it.
    """

    fingerprint: Fingerprint
    completeness: Completeness
    being_written: bool | None
    age_seconds: float
    has_control_file: bool = False


def observe(watched: Watched, look: Look, now: float) -> Watched:
    """Return the file's record after a look: a change of size or mtime starts its quiet time anew."""
    if look.fingerprint.same_file_at_same_path(watched.fingerprint):
        return watched  # a new name or other rights are no sign that it is being written
    if watched.fingerprint is None:
        return replace(watched, fingerprint=look.fingerprint)
    return replace(watched, fingerprint=look.fingerprint, changed_at=now, closed=False)


def settle(watched: Watched, look: Look, now: float, settle_seconds: float) -> Verdict:
    """Decide what happens to a file after a look that `observe` has taken in."""
    # Whatever the events said, a file that was changed a moment ago is not quiet.
    changed_just_now = 0 <= look.age_seconds < settle_seconds
    quiet = now - watched.changed_at >= settle_seconds and not changed_just_now
    if look.has_control_file or look.being_written:
        return Verdict.WAIT
    if look.completeness in (Completeness.EMPTY, Completeness.POINTER):
        return Verdict.NO_MODEL if quiet or look.age_seconds >= settle_seconds else Verdict.WAIT
    if look.completeness is Completeness.CUT_OFF:
        return Verdict.CUT_OFF if quiet else Verdict.WAIT
    if look.completeness is Completeness.WHOLE and (watched.closed or look.being_written is False):
        return Verdict.TAKE
    return Verdict.TAKE if quiet else Verdict.WAIT


def judge_asked(look: Look) -> Verdict:
    """Decide about a file that somebody asks for, who will not wait until it has been quiet."""
    if look.completeness in (Completeness.EMPTY, Completeness.POINTER):
        return Verdict.NO_MODEL
    if look.has_control_file or look.being_written:
        return Verdict.WAIT
    return Verdict.CUT_OFF if look.completeness is Completeness.CUT_OFF else Verdict.TAKE


def first_sight(path: str, now: float, *, closed: bool, age_seconds: float | None, settle_seconds: float) -> Watched:
    """Return the record of a file that is new to us.

    A file found by a scan whose mtime lies `settle_seconds` or more in the past has had its quiet time already;
    `age_seconds` is None for a file that an event told of, whose quiet time begins now.
    """
    had_quiet_time = age_seconds is not None and age_seconds >= settle_seconds
    return Watched(path, changed_at=now - settle_seconds if had_quiet_time else now, closed=closed or had_quiet_time)


def next_look_at(watched: Watched, look: Look, now: float, settle_seconds: float) -> float:
    """Return when (seconds, monotonic) a waiting file is looked at again."""
    due = watched.changed_at + settle_seconds
    if 0 <= look.age_seconds < settle_seconds:
        due = max(due, now + settle_seconds - look.age_seconds)
    # Somebody may hold it open for hours: look no more often than its quiet time lasts.
    return due if due > now else now + max(settle_seconds, 0.05)
