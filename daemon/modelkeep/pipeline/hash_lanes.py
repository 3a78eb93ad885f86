"""What a hashing process has in hand: files that wait, those that are being read, and whether the disk keeps up."""

import mmap
from collections import deque

from modelkeep.pipeline.file_reading import PIECE_BYTES, FileBeingRead

PACE_SECONDS = 0.2
"""So long is measured whether the disk is what is waited for; a second file of it gains nothing then."""


class Queue:
    """Files of one kind that wait, in their order; the first of them are open.

    Args:
        is_soon: whether they are for soon: they go before the others.
    """

    def __init__(self, *, is_soon: bool) -> None:
        self.is_soon = is_soon
        self.waiting: deque[tuple[int, str, bool]] = deque()
        self.opened: deque[FileBeingRead] = deque()

    def __bool__(self) -> bool:
        return bool(self.waiting or self.opened)

    def cancel(self) -> list[int]:
        """Forget all of them; returns their numbers."""
        numbers = [*(file.number for file in self.opened), *(number for number, *_ in self.waiting)]
        while self.opened:
            self.opened.pop().close()
        self.waiting.clear()
        return numbers


class Lane:
    """A file that is being read, and what of it is not hashed yet.

    Args:
        queue: whence it comes.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        # It takes memory when something is read into it: what is mapped needs none.
        self.buffer = memoryview(mmap.mmap(-1, PIECE_BYTES, mmap.MAP_PRIVATE))
        self.file: FileBeingRead | None = None
        self.data = self.buffer[:0]

    def leave(self) -> None:
        """Close its file."""
        if self.file is not None:
            self.file.close()
        self.file, self.data = None, self.buffer[:0]


Reading = tuple[Lane, FileBeingRead]
"""A lane, and the file in it."""


class Pace:
    """Whether it is the disk or the processor that is waited for, by what was measured last; neither at first."""

    def __init__(self) -> None:
        self.waits_for_disk = self.waits_for_processor = False
        self._waited = self._hashed = 0.0

    def waited(self, seconds: float) -> None:
        """Note how long bytes were waited for."""
        self._waited += seconds

    def hashed(self, seconds: float) -> None:
        """Note how long bytes were hashed; judges once that is enough to tell."""
        self._hashed += seconds
        if self._waited + self._hashed >= PACE_SECONDS:
            self.waits_for_disk = self._waited > self._hashed
            self.waits_for_processor = not self.waits_for_disk
            self._waited = self._hashed = 0.0
