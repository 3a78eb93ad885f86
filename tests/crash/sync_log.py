"""Write down, before each fsync, which functions of the program asked for it, so that a trace shows it."""

import os
import sys
from collections.abc import Callable
from types import FrameType

_PACKAGE = f"{os.sep}daemon{os.sep}modelkeep{os.sep}"
"""A checkout may be called modelkeep too."""


def install(log: str) -> None:
    """Put a note before every fsync and fdatasync of this process.

    Args:
        log: file that takes the notes, one line each.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _noted(getattr(os, name), descriptor))


def _noted(sync: Callable[[int], None], log: int) -> Callable[[int], None]:
    def noted(descriptor: int) -> None:
        os.write(log, f"{' < '.join(_callers(sys._getframe(1)))}\n".encode())
        sync(descriptor)

    return noted


def _callers(frame: FrameType | None) -> list[str]:
    found: list[str] = []
    while frame is not None:
        path = frame.f_code.co_filename
        if _PACKAGE in path:
            found.append(f"{path.rpartition(_PACKAGE)[2]}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found
