"""Events on their way from watchdog's threads to the event loop."""

import asyncio
import time
from collections import deque

from modelkeep.domain.events import EventsLost, WatchEvent

_USUAL_SECONDS = 0.5


class EventQueue:
    """Carries events in order, waking the loop once for many.

    That events were lost comes before all others: the rescan that follows finds most of what they tell, at less cost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[WatchEvent] = deque()
        self._ready = asyncio.Event()
        self._waking = False
        self._busy_since: float | None = None
        self._taken_at = 0.0
        self._looks_again = False

    @property
    def is_behind(self) -> bool:
        """Whether what happened in the roots has been waiting to be taken in for longer than usual.

        So it has where something has to be looked at again: that happened a while ago.
        """
        since = self._busy_since
        return self._looks_again or (since is not None and time.monotonic() - since > _USUAL_SECONDS)

    @property
    def stalled_seconds(self) -> float:
        """For how long nobody has taken anything, though events wait or are being taken in."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - max(since, self._taken_at)

    def put(self, event: WatchEvent) -> None:
        """Hand over an event, from any thread."""
        if self._busy_since is None:
            self._busy_since = time.monotonic()
        if isinstance(event, EventsLost):
            self._events.appendleft(event)
        else:
            self._events.append(event)
        if not self._waking:
            self._waking = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed: the daemon has stopped
                self._events.clear()

    def put_again(self, event: WatchEvent) -> None:
        """Hand over, on the event loop, that something is to be looked at again."""
        self._looks_again = True
        self.put(event)

    async def take(self, most: int) -> list[WatchEvent]:
        """Wait for events and return them in order, at most so many at once."""
        while not self._events:
            self._busy_since, self._looks_again = None, False
            self._ready.clear()
            await self._ready.wait()
        self._taken_at = time.monotonic()
        return [self._events.popleft() for _ in range(min(most, len(self._events)))]

    def _wake(self) -> None:
        self._waking = False
        self._ready.set()
