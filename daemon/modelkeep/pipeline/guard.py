"""Carry on after failures that pass by themselves: a full disk, a catalogue that another program holds.

Nothing is lost by letting go of what is in hand: the queue is in the catalogue, and what lies on disk is found again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from modelkeep.errors import CatalogueError, JournalError

T = TypeVar("T")

PASSING = (CatalogueError, JournalError, OSError)
"""What may be gone at the next try."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0

CATALOGUE = "catalogue"
"""The part that is reported: whatever the stages write goes there."""


class HearsTroubles(Protocol):
    """Is told what does not work, and that it works again."""

    def report(self, part: str, error: Exception | str) -> None:
        """Note that a part does not work."""

    def clear(self, part: str) -> None:
        """Note that a part works."""


async def persist(step: Callable[[], Awaitable[T]], troubles: HearsTroubles, part: str = CATALOGUE) -> T:
    """Do a step that may be done twice, again and again until it succeeds."""
    wait_seconds = FIRST_WAIT_SECONDS
    while True:
        try:
            result = await step()
        except PASSING as error:
            troubles.report(part, error)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
        else:
            troubles.clear(part)
            return result
