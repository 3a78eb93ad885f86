"""Wait for disks and servers that may never answer, and tell those apart that are merely slow.

Whatever waits for a server that is gone cannot be called off. So what looks at paths that may lie on one does so in a
thread that nobody has to join, and says how far it has come.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_followed = threading.local()


def follow(note: Callable[[str], None]) -> None:
    """Have `note` called with every place that the look in this thread comes to."""
    _followed.note = note


def reached(place: str) -> None:
    """Say that the look in this thread goes on, and at which path."""
    note = getattr(_followed, "note", None)
    if note is not None:
        note(place)


def within(seconds: float, look: Callable[[], T], otherwise: T) -> T:
    """Return what a look finds, or something else when it takes longer.

    Args:
        seconds: how long to wait.
        look: may hang; it then goes on in its thread until the process ends.
        otherwise: what is returned when it does, or fails.
    """
    found: list[T] = []

    def run() -> None:
        found.append(look())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else otherwise
