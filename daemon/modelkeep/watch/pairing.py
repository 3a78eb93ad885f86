"""Hand over the two halves of a rename as one event as soon as both are there (watchdog 7.1)."""

import time
from typing import TypeVar

from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, InotifyMoveEventGrouper
from watchdog.utils.delayed_queue import DelayedQueue

T = TypeVar("T")


class PromptQueue(DelayedQueue[T]):
    """A queue in which an element may be held back, in the hope that another one takes its place.

    Theirs sleeps while the first element is held back, though it may have been taken out long since: on a busy
    machine each rename was told half a second late.
    """

    def get(self) -> T | None:
        """Wait for the first element, and until it is held back no more; None when the queue is closed."""
        with self._not_empty:
            while not self._closed:
                left = self._seconds_left()
                if left is not None and left <= 0:
                    return self._queue.popleft()[0]
                self._not_empty.wait(left)
        return None

    def _seconds_left(self) -> float | None:
        """Return for how long the first element is held back; None when there is none."""
        if not self._queue:
            return None
        _, came_at, is_held = self._queue[0]
        return came_at + self.delay - time.monotonic() if is_held else 0.0


class Grouper(InotifyMoveEventGrouper):
    """Pairs the halves of renames."""

    def __init__(self) -> None:
        self._queue: DelayedQueue[GroupedInotifyEvent] = PromptQueue(self.delay)
