"""Wait for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 60.0
"""A deadline that is not reached costs nothing, and a busy machine is many times slower than a quiet one."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.1
"""Pauses grow: what comes soon is seen soon, and a long wait leaves the processors to what is waited for."""


def wait_until(condition: Callable[[], T], seconds: float = DEADLINE_SECONDS, what: str = "") -> T:
    """Return the condition's first true value; fail when there is none within the deadline.

    Args:
        condition: asked again and again.
        seconds: the deadline.
        what: what is waited for, for the failure's text.
    """
    deadline, pause_seconds = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition!r}; last value: {value!r}")
        time.sleep(pause_seconds)
        pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)


async def wait_until_async(
    condition: Callable[[], T | Awaitable[T]], seconds: float = DEADLINE_SECONDS, what: str = ""
) -> T:
    """Do the same on an event loop; the condition may be a coroutine function."""
    deadline, pause_seconds = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        asked = condition()
        value = await asked if isinstance(asked, Awaitable) else asked
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition!r}; last value: {value!r}")
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)
