"""Keep the service manager informed: when the daemon is ready, what it does, and that it still comes forward."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from modelkeep.base.log import get_logger
from modelkeep.base.notify import ServiceManager

STUCK_SECONDS = 900.0
"""A part that has not come forward for so long never will."""

_STATUS_SECONDS = 2.0
_BEATS = 3
"""How often a sign of life is given in the time after which the manager misses it."""

_MORE_TIME_SECONDS = 60.0
"""A start that still works asks for so much more time, again and again: recovery and upgrades take what they take."""

_log = get_logger("service")


class Supervision:
    """What the service manager is told of one life of the daemon.

    The signs of life come from the event loop: one that hangs gives none, and the manager ends the process.

    Args:
        manager: is told.
    """

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._describe: Callable[[], str] = lambda: "starting: ends what the last stop cut short"
        self._stuck_part: Callable[[], str] = lambda: ""
        self._is_ready = False
        self._told = ""
        self._missed = ""

    def ready(self, describe: Callable[[], str], stuck_part: Callable[[], str]) -> None:
        """Say that the start is over.

        Args:
            describe: returns one line about what the daemon is doing.
            stuck_part: returns the name of a part that comes no further, empty when there is none.
        """
        self._describe, self._stuck_part, self._is_ready = describe, stuck_part, True
        self._told = describe()
        self._manager.tell(READY=1, STATUS=self._told)

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._describe, self._is_ready = lambda: "stopping: finishes the migration in hand", False
        self._told = self._describe()
        # From now on the time that a stop may take counts; nobody gives signs of life while the interpreter ends.
        self._manager.tell(STOPPING=1, STATUS=self._told, WATCHDOG_USEC=0)

    async def reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Have the configuration read again, and say when that begins and ends."""
        if not self._is_ready:
            return  # what starts has just read it
        self._manager.tell_reloading()
        try:
            await reload()
        finally:
            self._manager.tell(READY=1)

    async def run(self) -> None:
        """Give signs of life until cancelled."""
        beat_seconds = min(_STATUS_SECONDS, self._manager.watchdog_seconds / _BEATS or _STATUS_SECONDS)
        while True:
            self._beat()
            await asyncio.sleep(beat_seconds)

    def _beat(self) -> None:
        status = self._describe()
        if status != self._told:
            self._told = status
            self._manager.tell(STATUS=status)
        if not self._is_ready:
            self._manager.tell(EXTEND_TIMEOUT_USEC=int(_MORE_TIME_SECONDS * 1e6))
        stuck = self._stuck_part()
        if not stuck:
            self._manager.tell(WATCHDOG=1)
        elif stuck != self._missed:
            _log.error("part.stuck", part=stuck, seconds=STUCK_SECONDS)
            faulthandler.dump_traceback()  # where each thread is, while none of them can move on
        self._missed = stuck


@asynccontextmanager
async def supervised(manager: ServiceManager) -> AsyncIterator[Supervision]:
    """Keep the service manager informed of what happens inside; where there is none, nobody is."""
    supervision = Supervision(manager)
    beats = asyncio.create_task(supervision.run()) if manager.listens else None
    try:
        yield supervision
    finally:
        if beats is not None:
            beats.cancel()
