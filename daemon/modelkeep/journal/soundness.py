"""Return whether the journal is what was written: checksums, numbers without a gap, a whole last line."""

from pathlib import Path

from modelkeep.errors import JournalError
from modelkeep.journal.records import Damage, Damaged, decode, is_sound, read_head
from modelkeep.journal.segments import Segment, lines_forward, list_segments


def check(folder: Path) -> list[Damage]:
    """Return everything that is wrong with the journal, in its order; changes nothing.

    A last line without its newline counts as damage, so a record that is being written at this moment may show up.

    Raises:
        JournalError: the folder cannot be read.
    """
    inspection = _Inspection()
    for segment in list_segments(folder):
        inspection.take_segment(segment)
    return inspection.damages


class _Inspection:
    def __init__(self) -> None:
        self.damages: list[Damage] = []
        self._expected_seq = 0  # 0: any
        self._after_damage = False

    def take_segment(self, segment: Segment) -> None:
        offset = 0
        self._take_seq(segment, offset, segment.first_seq)
        self._expected_seq = segment.first_seq
        try:
            for line in lines_forward(segment):
                self._take_line(segment, offset, line)
                offset += len(line)
        except JournalError as error:
            self._report(segment, offset, str(error))

    def _take_line(self, segment: Segment, offset: int, line: bytes) -> None:
        head = read_head(line) if is_sound(line) else None
        if head is None:
            self._report(segment, offset, _reason(line))
            self._after_damage = True
            return
        self._take_seq(segment, offset, head.seq)
        self._expected_seq = head.seq + 1

    def _take_seq(self, segment: Segment, offset: int, seq: int) -> None:
        """Compare a number with the one that should come. Damage before it accounts for a gap."""
        expected, after_damage = self._expected_seq, self._after_damage
        self._after_damage = False
        if expected and seq < expected:
            self._report(segment, offset, f"number {seq} comes after number {expected - 1}")
        elif expected and seq > expected and not after_damage:
            last = seq - 1
            missing = f"record {last} is" if last == expected else f"records {expected} to {last} are"
            self._report(segment, offset, f"{missing} missing before it")

    def _report(self, segment: Segment, offset: int, reason: str) -> None:
        self.damages.append(Damage(segment.name, offset, reason))


def _reason(line: bytes) -> str:
    try:
        decode(line)
    except Damaged as damage:
        return str(damage)
    return "it is no record"
