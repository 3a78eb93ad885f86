"""What processes of ours have in common: how they are tied to the daemon, and why one cannot be started."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from modelkeep.domain.faults import why_no_worker

START_SECONDS = 60.0
"""How long a process may take to begin, on a machine however busy."""

_PR_SET_PDEATHSIG = 1


def tie_to(parent: int) -> None:
    """Tie this process's life to its parent's, and leave the terminal's signals to the parent."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def why_none(error: Exception) -> str:
    """Return why no worker process can be started, as a sentence.

    Args:
        error: with which the start of one failed; only an OSError that is no broken pipe says more than that it did.
    """
    sentence = "worker processes cannot be started: "
    if not Path(sys.executable).exists():
        return f"{sentence}{sys.executable} is gone; if Python or modelkeep was updated, restart modelkeep"
    # A pipe to a process that has ended before it could read what it is for is broken.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return sentence + why_no_worker(error)
    return (
        f"{sentence}they end at once; is there enough memory? if modelkeep was updated, restart it; its log says more"
    )
