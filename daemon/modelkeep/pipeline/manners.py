"""Have background hashing step back while the machine is wanted for something else. `domain.pressure` decides."""

import asyncio
from collections.abc import Callable

from modelkeep.base.log import get_logger
from modelkeep.domain.pressure import Pressure, reason_to_step_back

LOOK_SECONDS = 2.0
"""How often the machine is looked at while there is background work; else nobody looks."""

_log = get_logger("hashing")


class Manners:
    """Looks at the machine while there is background work.

    Args:
        look: tells how busy it is; runs in a thread, for a battery's controller may be slow.
        look_seconds: time between looks.
    """

    def __init__(self, look: Callable[[], Pressure], look_seconds: float = LOOK_SECONDS) -> None:
        self.reason = ""
        """Why background work steps back; empty: it need not."""
        self._look = look
        self._look_seconds = look_seconds
        self._looking: asyncio.Task[None] | None = None

    def watch(self, has_work: Callable[[], bool], on_change: Callable[[], object]) -> None:
        """Look as long as there is work.

        Args:
            has_work: tells whether there is.
            on_change: called when work may go on as before, or has to step back.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(has_work, on_change))

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _run(self, has_work: Callable[[], bool], on_change: Callable[[], object]) -> None:
        while has_work():
            seen = await asyncio.to_thread(self._look)
            if self._take(reason_to_step_back(seen, is_back=bool(self.reason))):
                on_change()
            await asyncio.sleep(self._look_seconds)
        self._take("")

    def _take(self, reason: str) -> bool:
        """Note a reason, or that there is none; returns whether that is a change."""
        was_back, self.reason = bool(self.reason), reason
        if was_back == bool(reason):
            return False
        if reason:
            _log.info("hashing.stepped_back", reason=reason)
        else:
            _log.info("hashing.went_on")
        return True
