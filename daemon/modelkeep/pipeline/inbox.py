"""What one stage has done and the next has not taken yet: as much of it is taken together as has come."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Hands on in batches what comes one by one; a batch of one is a batch.

    Args:
        most: how many are taken together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[T] = deque()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and what was taken is done with."""
        return self._emptied.is_set()

    def put(self, item: T) -> None:
        """Hand over one."""
        self._waiting.append(item)
        self._filled.set()
        self._emptied.clear()

    async def take(self, step: Callable[[list[T]], Awaitable[object]]) -> None:
        """Do a step with what has come, once there is something; who waits for the next holds on to none of it."""
        await self._filled.wait()
        taken = list(islice(self._waiting, self._most))
        for _ in taken:
            self._waiting.popleft()
        try:
            await step(taken)
        finally:
            if not self._waiting:
                self._filled.clear()
                self._emptied.set()

    async def emptied(self) -> None:
        """Wait until all that came is done with."""
        await self._emptied.wait()
