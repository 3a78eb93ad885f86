"""Tell whoever listens what happens: every record of the journal as it is written, and how far the hashing is.

Each listener has a place of his own in the journal's files and takes from there when he has room. So one who is slow
or far behind costs nobody anything: nothing is kept for him in memory.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
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
        place = _Place(self._journal, after, self._newest_seq)
        shown: Progress = []
        progress_at = quiet_at = time.monotonic()
        try:
            await asyncio.to_thread(place.find)
            while not self._is_over():
                records = await asyncio.to_thread(place.next_records) if place.has_news else []
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
            # A thread may be reading there still, for one who has just left.
            asyncio.get_running_loop().run_in_executor(None, place.close)


class _Place:
    """How far one listener is in the journal; asked in threads."""

    def __init__(self, journal: Path, after: int | None, newest_seq: Callable[[], int]) -> None:
        self._journal = journal
        self._after = after
        self._newest_seq = newest_seq
        self._seq = 0
        self._tail: Tail | None = None
        self._lock = threading.Lock()

    def find(self) -> None:
        """Find the place from which the listener is told."""
        newest = self._newest_seq()
        with self._lock:
            self._seq = newest if self._after is None else min(self._after, newest)
            self._tail = Tail(self._journal, self._seq)

    @property
    def has_news(self) -> bool:
        """Whether there are records that the listener has not been told; needs no thread."""
        return self._newest_seq() > self._seq

    def next_records(self) -> list[dict[str, object]]:
        """Return the next records, not too many at once."""
        with self._lock:
            if self._tail is None:
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
        """Let go of the files."""
        with self._lock:
            if self._tail is not None:
                self._tail.close()
                self._tail = None
