"""Read the journal: what is there, and what is being written. With a daemon writing it or without.

A damaged line is skipped here; `check` tells where it is.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from modelkeep.journal.query import Query
from modelkeep.journal.records import Damage, Damaged, decode, read_head
from modelkeep.journal.segments import Segment, lines_backward, lines_forward, list_segments, segments_after
from modelkeep.journal.soundness import check
from modelkeep.journal.story import Story
from modelkeep.journal.tail import Tail

__all__ = ["EVERYTHING", "Damage", "Query", "check", "follow", "read"]

EVERYTHING = Query()


def read(folder: Path, query: Query = EVERYTHING) -> Iterator[dict[str, object]]:
    """Yield the records that are wanted, in the order of `seq`, without their `crc`.

    Holds one record in memory, with a `limit` those that are yielded. With a `model` the journal is read several
    times: first for everything that is connected to it, then for the records.

    Args:
        folder: where the segments lie; where there is none, there are no records.
        query: what is wanted.

    Raises:
        JournalError: a segment cannot be read.
    """
    yield from _read(folder, query, _resolve(folder, query))


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
    story = _resolve(folder, query)
    seen_seq = _newest_seq(folder)
    for record in _read(folder, query, story):
        seen_seq = max(seen_seq, int(str(record["seq"])))
        yield record
    tail = Tail(folder, seen_seq)
    try:
        while True:
            stopping = stop()
            yield from _wanted(_decoded(tail.new_lines(), story, seen_seq), query, story)
            if stopping:
                return
            time.sleep(poll_seconds)
    finally:
        tail.close()


def _read(folder: Path, query: Query, story: Story | None) -> Iterator[dict[str, object]]:
    segments = segments_after(list_segments(folder), query.after)
    if query.limit <= 0:
        yield from _wanted(_records(segments, story), query, story)
        return
    newest_first = _wanted(_records(segments, story, newest_first=True), query, story)
    yield from reversed(list(islice(newest_first, query.limit)))


def _resolve(folder: Path, query: Query) -> Story | None:
    """Return the whole story of the model that is asked for."""
    if not query.model:
        return None
    story = Story(query.model)
    segments = list_segments(folder)
    # A record may be connected only by what a later one tells, so read to and fro until nothing new turns up.
    # Most ask by the newest name: backward first follows all its renames at once.
    for newest_first in cycle((True, False)):
        known = len(story)
        for record in _records(segments, story, newest_first=newest_first):
            story.takes(record)
        if len(story) == known:
            break
    return story


def _records(
    segments: Sequence[Segment], story: Story | None, *, newest_first: bool = False
) -> Iterator[dict[str, object]]:
    for segment in reversed(segments) if newest_first else segments:
        lines = lines_backward(segment) if newest_first else lines_forward(segment)
        yield from _decoded(lines, story)


def _decoded(lines: Iterator[bytes], story: Story | None, after: int = 0) -> Iterator[dict[str, object]]:
    """Yield the records of those lines that are sound, may belong to the story and are newer than `after`."""
    for line in lines:
        if story is not None and not story.may_take(line):
            continue
        if after:
            head = read_head(line)
            if head is None or head.seq <= after:
                continue
        try:
            record = decode(line)
        except Damaged:
            continue
        yield record


def _wanted(records: Iterator[dict[str, object]], query: Query, story: Story | None) -> Iterator[dict[str, object]]:
    for record in records:
        # The story first: it grows by records that are not wanted themselves.
        if (story is None or story.takes(record)) and query.wants(record):
            yield record


def _newest_seq(folder: Path) -> int:
    newest = next(_records(list_segments(folder), None, newest_first=True), {"seq": 0})
    return int(str(newest["seq"]))
