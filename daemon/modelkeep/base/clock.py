"""Notice when somebody sets the wall clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass

JUMP_MS = 5_000
"""A smaller difference between the two clocks is no jump: they are not read in the same instant, and NTP slews."""


def now_ms() -> int:
    """Return the wall clock in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return the monotonic clock in whole milliseconds; it goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(frozen=True, slots=True)
class Jump:
    """By how much the wall clock was set (negative: back), and what it showed before."""

    shift_ms: int
    before_ms: int


class JumpWatch:
    """Compares the wall clock with the monotonic one."""

    def __init__(self, wall: Callable[[], int] = now_ms, monotonic: Callable[[], int] = monotonic_ms) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._last = (wall(), monotonic())

    def look(self) -> Jump | None:
        """Return the jump since the last look, None when there was none."""
        wall, monotonic = self._wall(), self._monotonic()
        last_wall, last_monotonic = self._last
        self._last = (wall, monotonic)
        expected = last_wall + monotonic - last_monotonic
        return Jump(wall - expected, expected) if abs(wall - expected) > JUMP_MS else None
