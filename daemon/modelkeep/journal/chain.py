"""The journal's own logger chain in structlog: number, stamp, render; a batch goes through it as one.

It shares nothing with `structlog.configure` or the standard logging, so no level, filter or handler silences it.
"""

import time
from collections.abc import Sequence

import structlog
from structlog.typing import EventDict, WrappedLogger

from modelkeep.domain.values import Record
from modelkeep.errors import JournalError
from modelkeep.journal.records import encode, record_of, timestamp_ns
from modelkeep.journal.segment_file import SegmentFile


class LineSink:
    """Where the chain ends: gives out sequence numbers and hands lines to the open segment.

    Not thread-safe: its owner holds a lock from `append` to `flush`.

    Args:
        file: the open segment; replaced when the journal is rotated.
        next_seq: sequence number of the next record.
    """

    def __init__(self, file: SegmentFile, next_seq: int) -> None:
        self.file = file
        self.next_seq = next_seq
        self.waiting_bytes = 0
        self._waiting: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        """Size of the open segment once everything that waits is written."""
        return self.file.size_bytes + self.waiting_bytes

    def append(self, line: bytes) -> None:
        """Take a line in; it is written by the next `flush`."""
        self._waiting.append(line)
        self.waiting_bytes += len(line)
        self.next_seq += 1

    def flush(self) -> list[bytes]:
        """Write what waits in one call, and return it.

        Raises:
            JournalError: nothing of it was written, and its sequence numbers are free again.
        """
        waiting, self._waiting, self.waiting_bytes = self._waiting, [], 0
        if waiting:
            try:
                self.file.append(b"".join(waiting))
            except JournalError:
                self.next_seq -= len(waiting)
                raise
        return waiting

    def discard(self) -> None:
        """Forget what waits; its sequence numbers are free again."""
        self.next_seq -= len(self._waiting)
        self._waiting, self.waiting_bytes = [], 0


class JournalLogger(structlog.BoundLoggerBase):
    """The chain's front: one method and no levels."""

    def render(self, records: Sequence[Record]) -> list[bytes]:
        """Return the lines of records that the sink gets next.

        Raises:
            ValueError: a field has a reserved name, or the event is not spelled `noun.verb_past`.
            TypeError: a field holds something that JSON has no form for.
        """
        lines, _ = self._process_event("render", None, {"records": records})
        return list(lines)


def journal_logger(sink: LineSink) -> JournalLogger:
    """Return the logger whose records end in a sink."""
    logger: JournalLogger = structlog.wrap_logger(
        sink, processors=[_number, _stamp, _render], wrapper_class=JournalLogger, context_class=dict
    ).bind()
    return logger


def _number(sink: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    event_dict["first_seq"] = sink.next_seq
    return event_dict


def _stamp(_sink: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    event_dict["ts"] = timestamp_ns(time.time_ns())
    return event_dict


def _render(_sink: WrappedLogger, _method: str, event_dict: EventDict) -> tuple[tuple[bytes, ...], dict[str, object]]:
    ts, numbered = event_dict["ts"], enumerate(event_dict["records"], event_dict["first_seq"])
    return tuple(encode(record_of(seq, ts, event, fields)) for seq, (event, fields) in numbered), {}
