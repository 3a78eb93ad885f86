"""How a worker process is tied to the one that started it, see `processes.start`."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def tie_to(parent: int) -> None:
    """Tie this process's life to its parent's."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
