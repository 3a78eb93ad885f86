"""The journal as the running daemon uses it: it outlives a full disk and a failed fsync.

Records of what happened may be written later (`append`, `append_many`); those of what will be done must be on the
disk first (`write_many`, `sync`). After a failed fsync it is unknown what is on the disk, so the open file is given
up, and the journal is opened and read anew, from what is there.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from modelkeep.domain.values import Record
from modelkeep.errors import JournalError
from modelkeep.journal.records import Damage
from modelkeep.journal.writer import JournalWriter

BACKLOG_MAX = 50_000
"""Records that wait in memory while the journal cannot be written; of more, the oldest are lost, and counted."""

REOPEN_SECONDS = 1.0


class JournalKeeper:
    """A journal that is opened again when it had to be given up; may be used from any thread.

    Args:
        open_writer: opens the journal.
        clock: monotonic seconds.
    """

    def __init__(self, open_writer: Callable[[], JournalWriter], clock: Callable[[], float] = time.monotonic) -> None:
        self._open_writer = open_writer
        self._clock = clock
        self._writer = open_writer()
        self._given_up_at: float | None = None
        self._lock = Lock()
        self._backlog: deque[Record] = deque()
        self._lost = 0
        self.on_trouble: Callable[[JournalError | None], None] = lambda _: None
        """Told of a failure, and with None that records are written again."""
        self.on_records: Callable[[Sequence[Record]], None] = lambda _: None
        """Told of all records, in order, before they are written."""

    # What must be on the disk

    def write(self, event: str, **fields: object) -> int:
        """Write one record, as `JournalWriter.write`."""
        return self.write_many([(event, fields)])

    def write_many(self, records: Sequence[Record]) -> int:
        """Write records, after those that waited; as `JournalWriter.write_many`."""
        self.on_records(records)
        return self._write(records)

    def _write(self, records: Sequence[Record]) -> int:
        with self._lock:
            writer = self._usable_writer()
            try:
                self._write_backlog(writer)
                return writer.write_many(records)
            except JournalError:
                if writer.is_given_up:
                    self._give_up(writer)
                raise

    def sync(self) -> None:
        """Return when every record written so far is on the disk, as `JournalWriter.sync`."""
        writer = self._writer
        try:
            writer.sync()
        except JournalError as error:
            with self._lock:
                self._give_up(writer)
            self.on_trouble(error)
            raise

    # What may be written later

    def append(self, event: str, **fields: object) -> bool:
        """Write one record now or, when that is not possible, later; returns whether it is written."""
        return self.append_many([(event, fields)])

    def append_many(self, records: Sequence[Record]) -> bool:
        """Write records now or, when that is not possible, later; returns whether all are written."""
        self.on_records(records)
        try:
            self._write(records)
        except JournalError as error:
            with self._lock:
                self._backlog.extend(records)
                while len(self._backlog) > BACKLOG_MAX:
                    self._backlog.popleft()
                    self._lost += 1
            self.on_trouble(error)
            return False
        self.on_trouble(None)
        return True

    # What others ask

    def close(self) -> None:
        """Write what waits, if that is possible, and close."""
        with self._lock:
            try:
                if self._given_up_at is None:
                    self._write_backlog(self._writer)
            finally:
                self._writer.close()

    @property
    def seq(self) -> int:
        """Sequence number of the last record."""
        return self._writer.seq

    @property
    def segments(self) -> int:
        """Number of segments."""
        return self._writer.segments

    @property
    def size_bytes(self) -> int:
        """Size of all segments together."""
        return self._writer.size_bytes

    @property
    def damages(self) -> list[Damage]:
        """Damaged records in the middle that were found when the journal was opened."""
        return self._writer.damages

    @property
    def unfinished(self) -> Mapping[str, dict[str, object]]:
        """The plans of the migrations that were not brought to an end."""
        return self._writer.unfinished

    def _usable_writer(self) -> JournalWriter:
        if self._given_up_at is None:
            return self._writer
        if self._clock() - self._given_up_at < REOPEN_SECONDS:
            raise JournalError("the journal had to be given up after a failed fsync; it is opened again soon")
        self._given_up_at = self._clock()
        self._writer.write_anew()
        self._writer = self._open_writer()
        self._given_up_at = None
        return self._writer

    def _give_up(self, writer: JournalWriter) -> None:
        if writer is not self._writer or self._given_up_at is not None:
            return
        self._given_up_at = self._clock()
        try:
            writer.close()
        except JournalError:
            return  # the failure that brought us here, told once more

    def _write_backlog(self, writer: JournalWriter) -> None:
        if self._lost:
            writer.write("journal.records_lost", count=self._lost, cause="the journal could not be written for long")
            self._lost = 0
        while self._backlog:
            writer.write_many([self._backlog[0]])
            self._backlog.popleft()
