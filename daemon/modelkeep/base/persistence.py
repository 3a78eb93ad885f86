"""Carry on after failures: those that pass by themselves, and those that nobody foresaw.

A full disk passes, and so does a program that holds the catalogue: nothing is lost by letting go of what is in hand,
for the queue is in the catalogue, and what lies on disk is found again. What nobody foresaw is one file's fault until
the contrary is shown, and holds up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from modelkeep.base.log import get_logger
from modelkeep.base.troubles import Troubles
from modelkeep.errors import CatalogueError, JournalError

_log = get_logger("guard")

T = TypeVar("T")

PASSING = (CatalogueError, JournalError, OSError)
"""What may be gone at the next try."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0

CATALOGUE = "catalogue"
"""The part that is reported: whatever the stages write goes there."""


async def persist(step: Callable[[], Awaitable[T]], troubles: Troubles) -> T:
    """Do a step that may be done twice, again and again until it succeeds."""
    wait_seconds = FIRST_WAIT_SECONDS
    this = object()
    try:
        while True:
            try:
                result = await step()
            except PASSING as error:
                troubles.report(CATALOGUE, error, this)
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
            else:
                troubles.clear(CATALOGUE, this)
                return result
    finally:
        troubles.leave(CATALOGUE, this)


async def do_for_all(
    step: Callable[[Sequence[T]], Awaitable[object]],
    items: Sequence[T],
    give_up: Callable[[T, Exception], Awaitable[None]],
) -> None:
    """Do a step for many at once; when it fails as nobody foresaw, find those to blame and do it for the others.

    Args:
        step: may be done twice for the same items.
        items: what it is done for.
        give_up: gets each item to blame with its error.
    """
    try:
        await step(items)
    except PASSING:
        raise
    except Exception as error:
        if len(items) > 1:
            middle = len(items) // 2
            await do_for_all(step, items[:middle], give_up)
            await do_for_all(step, items[middle:], give_up)
            return
        _log.exception("unforeseen.error", about=repr(items[:1]))
        await give_up(items[0], error)


def unforeseen(error: Exception | str) -> str:
    """Return what the owner reads about an error that nobody foresaw."""
    what = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return f"an error that nobody foresaw: {what}; please report it"
