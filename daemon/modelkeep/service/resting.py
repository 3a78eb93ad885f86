"""An idle daemon does what was put off, and gives its memory back.

Work and answers leave garbage, pages of the catalogue, and holes between.
"""

import asyncio
from collections.abc import Awaitable, Callable

from modelkeep.base.memory import give_back_memory, take_memory_back


class Resting:
    """Once after each time of work, and after the idle daemon has looked into the catalogue, has it come to rest.

    Args:
        work_done: a number that grows with whatever is done.
        looks_taken: a number that grows with whatever is asked of the catalogue.
        is_idle: whether nothing is on its way.
        do_put_off: does a part of what was put off until nothing else is to do, in a thread; returns whether it did.
        release_memory: lets go of what is kept of the catalogue in memory.
        renew_threads: has other threads take the place of those that work for the event loop.
    """

    def __init__(
        self,
        work_done: Callable[[], int],
        looks_taken: Callable[[], int],
        is_idle: Callable[[], bool],
        do_put_off: Callable[[], bool],
        release_memory: Callable[[], Awaitable[None]],
        renew_threads: Callable[[], None],
    ) -> None:
        self._work_done = work_done
        self._looks_taken = looks_taken
        self._is_idle = is_idle
        self._do_put_off = do_put_off
        self._release_memory = release_memory
        self._renew_threads = renew_threads
        self._seen = -1
        self._released = (-1, -1)

    async def look(self) -> None:
        """Come to rest if nothing was done since the last look, and something since the last rest."""
        done, before = self._work_done(), self._seen
        self._seen = done
        if done != before:
            await asyncio.to_thread(take_memory_back)
        taken = (done, self._looks_taken())
        if self._is_idle() and done == before and taken != self._released:
            released, self._released = self._released, taken  # what fails is not tried again at each look
            if await asyncio.to_thread(self._do_put_off):
                self._released = released  # the next look goes on: the roots are looked at in between
                return
            await self._release_memory()
            self._renew_threads()
            await asyncio.to_thread(give_back_memory)
