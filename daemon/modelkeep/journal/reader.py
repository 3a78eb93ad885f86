"""Read the journal: what is there, and what is being written. With a daemon writing it or without.

A damaged line is skipped here; `check` tells where it is.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from modelkeep.journal.contents import contents_of
from modelkeep.journal.query import Query
from modelkeep.journal.records import Damage, Damaged, decode
from modelkeep.journal.segments import blocks, list_segments, segments_after
from modelkeep.journal.soundness import check
from modelkeep.journal.tail import Tail
from modelkeep.journal.trace import Trace

__all__ = ["EVERYTHING", "Damage", "Query", "check", "decoded", "follow", "read"]

EVERYTHING = Query()

_MOMENT = re.compile(rb'\{"seq":([1-9][0-9]*),"ts":"([^"\\]*)"')
"""The number of a line, and its time."""


def read(folder: Path, query: Query = EVERYTHING) -> Iterator[dict[str, object]]:
    """Yield the records that are wanted, in the order of `seq`, without their `crc`.

    Holds one record in memory, with a `limit` those that are yielded. Of a segment that nobody writes any more no
    byte is read when it is known to hold nothing of what is wanted.

    Args:
        folder: where the segments lie; where there is none, there are no records.
        query: what is wanted.

    Raises:
        JournalError: a segment cannot be read.
    """
    yield from _read(folder, query, _traced(folder, query))


def follow(
    folder: Path, query: Query = EVERYTHING, poll_seconds: float = 0.25, stop: Callable[[], bool] = lambda: False
) -> Iterator[dict[str, object]]:
    """Yield what `read` yields, then each further record that is wanted once its line is whole. Never ends by itself.

    Args:
        folder: where the segments lie or will lie.
        query: what is wanted; its `limit` bounds what was written before, not what follows.
        poll_seconds: how often the files are looked at.
        stop: ends the iteration, after everything that was written before it said yes.

    Raises:
        JournalError: a segment cannot be read.
    """
    trace = _traced(folder, query)
    story = trace.story if trace else None
    seen_seq = _newest_seq(folder)
    for record in _read(folder, query, trace):
        seen_seq = max(seen_seq, int(str(record["seq"])))
        yield record
    tail = Tail(folder, seen_seq)
    try:
        while True:
            stopping = stop()
            newest = replace(query, after=max(query.after, seen_seq))
            for line in tail.new_lines():
                for record in decoded(line, newest):
                    # The story first: it grows by records that are not wanted themselves.
                    if (story is None or story.takes(record)) and newest.wants(record):
                        yield record
            if stopping:
                return
            time.sleep(poll_seconds)
    finally:
        tail.close()


def _read(folder: Path, query: Query, trace: Trace | None) -> Iterator[dict[str, object]]:
    records = trace.records(newest_first=query.limit > 0) if trace else _candidates(folder, query)
    wanted = filter(query.wants, records)
    yield from reversed(list(islice(wanted, query.limit))) if query.limit > 0 else wanted


def _traced(folder: Path, query: Query) -> Trace | None:
    return Trace(folder, query.model) if query.model else None


def _candidates(folder: Path, query: Query) -> Iterator[dict[str, object]]:
    """Yield the records that may be wanted; with a limit the newest first."""
    needles, newest_first = query.needles(), query.limit > 0
    segments = segments_after(list_segments(folder), query.after)
    for segment in reversed(segments) if newest_first else segments:
        contents = contents_of(segment) if query.is_narrow else None
        if contents is not None and not contents.may_answer(query):
            continue
        for block in blocks(segment, newest_first=newest_first):
            lines = list(needles.lines(block))
            for _, line in reversed(lines) if newest_first else lines:
                yield from decoded(line, query)


def decoded(line: bytes, query: Query = EVERYTHING) -> Iterator[dict[str, object]]:
    """Yield the record of a line, if it is sound and not surely too old."""
    moment = _MOMENT.match(line)
    if moment and (int(moment[1]) <= query.after or moment[2] < query.since_ts.encode()):
        return
    with suppress(Damaged):
        yield decode(line)


def _newest_seq(folder: Path) -> int:
    newest = next(_candidates(folder, Query(limit=1)), {"seq": 0})
    return int(str(newest["seq"]))
