"""Write the journal: numbered records, in segments, each line with one call, synced when asked."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock

from modelkeep.base.failpoints import reach
from modelkeep.base.log import get_logger
from modelkeep.base.portions import in_portions
from modelkeep.disk.durable import make_folder, sync_folder
from modelkeep.domain.values import Record
from modelkeep.errors import JournalError
from modelkeep.journal.chain import LineSink, journal_logger
from modelkeep.journal.mark import Mark, find_loss, read_mark, write_mark
from modelkeep.journal.records import Damage
from modelkeep.journal.segment_file import SegmentFile, sweep_drafts, unwritable
from modelkeep.journal.segments import segment_at
from modelkeep.journal.survey import TornTail, take_survey

_JOINED_BYTES = 256 * 1024
_JOINED_RECORDS = 512
"""`write_many` holds the lock, and its records in memory, for no more than this."""


class JournalWriter:
    """The journal of one data folder, open for writing; may be used from any thread.

    Opening reads it once, cuts off a torn last record and tells so in a `journal.repaired`. There must be no other
    writer: the lock of the data folder sees to that.

    Args:
        folder: where the segments lie; made when it is not there.
        segment_bytes: a segment that has reached this size is followed by a new one.
        keep_segments: how many segments are kept, at least one. Those from the one with the oldest unfinished
            migration on always are.

    Raises:
        JournalError: the journal cannot be read or written.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 67_108_864, keep_segments: int = 16) -> None:
        self._folder = folder
        self._segment_bytes = max(1, segment_bytes)
        self._keep_segments = keep_segments
        self._lock = Lock()
        self._syncing = Lock()  # taken after _lock, never before it
        _make_folder(folder)
        sweep_drafts(folder)
        self._mark = read_mark(folder)
        survey = take_survey(folder)
        self._damages, self._unfinished = survey.damages, survey.unfinished
        next_seq, loss = survey.next_seq, find_loss(folder, self._mark, survey)
        if loss is not None:
            self._damages, next_seq = [*survey.damages, loss], self._mark.seq + 1
        newest = max(survey.sizes, default=segment_at(folder, next_seq))
        self._sealed = {segment: size for segment, size in survey.sizes.items() if segment != newest}
        self._sink = LineSink(SegmentFile(newest), next_seq)
        self._flushed_seq = next_seq - 1
        self._log = journal_logger(self._sink)
        try:
            self._settle_on_disk(survey.torn_tail)
        except JournalError:
            self._sink.file.close()
            raise

    @classmethod
    def open(cls, folder: Path, *, segment_bytes: int = 67_108_864, keep_segments: int = 16) -> "JournalWriter":
        """Open the journal of a folder; the same as the constructor."""
        return cls(folder, segment_bytes=segment_bytes, keep_segments=keep_segments)

    def write(self, event: str, **fields: object) -> int:
        """Write one record with one write(2) and return its sequence number.

        Args:
            event: `noun.verb_past`.
            fields: what JSON can hold; never named `seq`, `ts`, `event` or `crc`.

        Raises:
            JournalError: it was not written; its sequence number is the next record's.
        """
        return self._write_portion([(event, fields)])

    def write_many(self, records: Iterable[Record]) -> int:
        """Write many records with few write(2) calls and return the last one's sequence number.

        Another thread's records may come between them. When it raises, `seq` tells how far it got.

        Args:
            records: pairs of event and fields, as for `write`; read bit by bit, so it may be of any length.

        Raises:
            JournalError: they were not all written.
        """
        seq = self.seq
        for portion in in_portions(records, _JOINED_RECORDS):
            seq = self._write_portion(portion)
        return seq

    def sync(self) -> None:
        """Return when every record written so far is on the disk.

        Raises:
            JournalError: it is not, and a second attempt could not tell: every later call raises this too.
        """
        # Not under _lock: an fsync takes long, and others may write meanwhile.
        with self._syncing:
            seq, file = self._flushed_seq, self._sink.file
            file.sync()
            self._mark_durable(Mark(file.segment.first_seq, seq))

    def write_anew(self) -> None:
        """Put a copy in the place of the newest segment, after a failed sync: what is read from it may not last.

        Raises:
            JournalError: it could not be copied; the segment is as it was.
        """
        with self._lock, self._syncing:
            self._sink.file.write_anew()

    def close(self) -> None:
        """Sync and close; closing twice is fine.

        Raises:
            JournalError: the last records may not be on the disk. It is closed nevertheless.
        """
        with self._lock, self._syncing:
            file, was_open = self._sink.file, not self.is_given_up
            file.sync_and_close()
            if was_open:
                self._mark_durable(Mark(file.segment.first_seq, self._flushed_seq))

    @property
    def seq(self) -> int:
        """Sequence number of the last record, 0 before the first."""
        with self._lock:
            return self._sink.next_seq - 1

    @property
    def is_given_up(self) -> bool:
        """Whether it can only be closed, and opened anew."""
        return self._sink.file.is_given_up

    @property
    def segments(self) -> int:
        """Number of segments."""
        with self._lock:
            return len(self._sealed) + 1

    @property
    def size_bytes(self) -> int:
        """Size of all segments together."""
        with self._lock:
            return sum(self._sealed.values()) + self._sink.size_bytes

    @property
    def damages(self) -> list[Damage]:
        """Damaged records in the middle that were found when the journal was opened; they are skipped by all."""
        return list(self._damages)

    @property
    def unfinished(self) -> Mapping[str, dict[str, object]]:
        """The `migration.planned` record of each migration that has not been brought to an end, by its id."""
        with self._lock:
            return self._unfinished.records()

    def _settle_on_disk(self, torn_tail: TornTail | None) -> None:
        # A killed daemon may have made the newest segment and not synced its name.
        self._sync_folder()
        if torn_tail is None:
            return
        self._sink.file.cut(torn_tail.offset)
        self.write(
            "journal.repaired",
            segment=torn_tail.segment.name,
            offset=torn_tail.offset,
            bytes_cut=torn_tail.bytes_cut,
            reason=torn_tail.reason,
        )
        self.sync()

    def _write_portion(self, portion: Sequence[Record]) -> int:
        with self._lock:
            try:
                for line in self._log.render(portion):
                    self._append(line)
                return self._flush()
            finally:
                self._sink.discard()

    def _append(self, line: bytes) -> None:
        if self._sink.size_bytes >= self._segment_bytes:
            self._flush()
            self._rotate()
        self._sink.append(line)
        if self._sink.waiting_bytes >= _JOINED_BYTES:
            self._flush()

    def _flush(self) -> int:
        lines = self._sink.flush()
        self._flushed_seq = self._sink.next_seq - 1
        for line in lines:
            self._unfinished.note(line)
        return self._sink.next_seq - 1

    def _rotate(self) -> None:
        """Put a new segment in the place of the open one, which is on the disk for good before."""
        with self._syncing:
            old = self._sink.file
            old.sync()
            reach("journal.rotate.before")
            new = SegmentFile(segment_at(self._folder, self._sink.next_seq))
            try:
                self._sync_folder()
            except JournalError:
                new.close()
                raise
            reach("journal.rotate.after")
            self._mark_durable(Mark(new.segment.first_seq, self._flushed_seq))
            self._sealed[old.segment] = old.size_bytes
            self._sink.file = new
            old.close()
        self._remove_oldest()

    def _mark_durable(self, mark: Mark) -> None:
        if mark != self._mark and mark.seq:
            self._mark = mark
            write_mark(self._folder, mark)

    def _sync_folder(self) -> None:
        try:
            sync_folder(self._folder)
        except OSError as error:
            self._sink.file.give_up(error)

    def _remove_oldest(self) -> None:
        """Remove what is beyond `keep_segments`, up to the segment of the oldest unfinished migration."""
        segments = [*self._sealed, self._sink.file.segment]
        surplus = max(0, len(segments) - self._keep_segments)
        planned_seq = self._unfinished.oldest_seq()
        for segment, follower in pairwise(segments[: surplus + 1]):
            if planned_seq is not None and planned_seq < follower.first_seq:
                return
            try:
                reach("journal.remove_segment.before")
                segment.path.unlink(missing_ok=True)
                reach("journal.remove_segment.after")
            except OSError as error:
                # It is tried again at the next rotation; the journal itself is well.
                get_logger("journal").warning("segment.not_removed", path=str(segment.path), error=error.strerror)
                return
            del self._sealed[segment]


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
