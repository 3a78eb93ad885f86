"""An idle daemon gives its memory back: work and answers leave garbage, pages of the catalogue, and holes between."""

import asyncio
from collections.abc import Awaitable, Callable

from modelkeep.base.memory import give_back_memory


class Resting:
    """Gives memory back once after each time of work, and after the idle daemon has looked into the catalogue.

    Args:
        work_done: a number that grows with whatever is done.
        looks_taken: a number that grows with whatever is asked of the catalogue.
        is_idle: whether nothing is on its way.
        release_memory: lets go of what is kept of the catalogue in memory.
    """

    def __init__(
        self,
        work_done: Callable[[], int],
        looks_taken: Callable[[], int],
        is_idle: Callable[[], bool],
        release_memory: Callable[[], Awaitable[None]],
    ) -> None:
        self._work_done = work_done
        self._looks_taken = looks_taken
        self._is_idle = is_idle
        self._release_memory = release_memory
        self._seen = -1
        self._released = (-1, -1)

    async def look(self) -> None:
        """Give memory back if nothing was done since the last look, and something since memory was given back."""
        done, before = self._work_done(), self._seen
        self._seen = done
        taken = (done, self._looks_taken())
        if self._is_idle() and done == before and taken != self._released:
            self._released = taken
            await self._release_memory()
            await asyncio.to_thread(give_back_memory)
