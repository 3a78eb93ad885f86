"""Tell whoever listens what happens: every record of the journal as it is written, and how far the hashing is.

Each listener has a place of his own in the journal's files and takes from there when he has room. So one who is slow
or far behind costs nobody anything: nothing is kept for him in memory.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from pathlib import Path

from modelkeep.domain.notices import Notice
from modelkeep.errors import Overloaded
from modelkeep.journal.query import Query
from modelkeep.journal.reader import decoded
from modelkeep.journal.tail import Tail

LISTENERS_MAX = 32
RECORDS_AT_ONCE = 256
LOOK_SECONDS = 0.2
PROGRESS_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""After so long without news a sign of life is given: a connection that is gone shows itself."""

Progress = Sequence[dict[str, object]]


class Listening:
    """Serves listeners.

    Args:
        journal: the folder of its segments.
        newest_seq: returns the number of its newest record.
        progress: returns the files that are being hashed.
        is_over: tells whether the daemon stops, which ends every listening.
        listeners_max: how many there may be at a time.
    """

    def __init__(
        self,
        journal: Path,
        newest_seq: Callable[[], int],
        progress: Callable[[], Progress],
        is_over: Callable[[], bool],
        listeners_max: int = LISTENERS_MAX,
    ) -> None:
        self._journal = journal
        self._newest_seq = newest_seq
        self._progress = progress
        self._is_over = is_over
        self._listeners = 0
        self._listeners_max = listeners_max

    def notices(self, after: int | None) -> AsyncIterator[Notice]:
        """Return what happens, from now on or after a record.

        Args:
            after: number of the last record that is known; None: all that there are. One that the journal has not
                reached is of another journal, and as good as none.

        Raises:
            Overloaded: as many listen as may.
        """
        if self._listeners >= self._listeners_max:
            raise Overloaded(f"{self._listeners} listen already, and no more may; try again later")
        return self._notices(after)

    async def _notices(self, after: int | None) -> AsyncIterator[Notice]:
        self._listeners += 1
        newest = await asyncio.to_thread(self._newest_seq)
        place = _Place(self._journal, newest if after is None else min(after, newest), self._newest_seq)
        shown: Progress = []
        progress_at = quiet_at = time.monotonic()
        try:
            while not self._is_over():
                records = await asyncio.to_thread(place.next_records)
                for record in takewhile(lambda _: not self._is_over(), records):
                    yield Notice(place.number_of(record), record)
                if time.monotonic() >= progress_at and (active := self._progress()) != shown:
                    shown, progress_at = active, time.monotonic() + PROGRESS_SECONDS
                    yield Notice(hashing=active)
                elif not records and time.monotonic() >= quiet_at:
                    yield Notice()
                elif not records:
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                quiet_at = time.monotonic() + QUIET_SECONDS
        finally:
            self._listeners -= 1
            place.close()


class _Place:
    """How far one listener is in the journal."""

    def __init__(self, journal: Path, seq: int, newest_seq: Callable[[], int]) -> None:
        self._tail = Tail(journal, seq)
        self._seq = seq
        self._newest_seq = newest_seq

    def next_records(self) -> list[dict[str, object]]:
        """Return the next records, not too many at once; reads files, and none where there is nothing new."""
        if self._newest_seq() <= self._seq:
            return []
        wanted = Query(after=self._seq)
        records = (record for line in self._tail.new_lines() for record in decoded(line, wanted))
        found = list(islice(records, RECORDS_AT_ONCE))
        if found:
            self._seq = self.number_of(found[-1])
        return found

    @staticmethod
    def number_of(record: dict[str, object]) -> int:
        return int(str(record["seq"]))

    def close(self) -> None:
        with suppress(OSError):
            self._tail.close()
