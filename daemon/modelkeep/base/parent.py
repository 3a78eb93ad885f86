"""How a worker process is tied to the one that started it, see `processes.start`."""

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_SIGKILL, _SIGTERM = 9, 15
_SIG_DFL = None
"""As the C library has them: `signal` makes classes of all that there are, a tenth of the start of a process."""


def tie_to(parent: int) -> None:
    """Tie this process's life to its parent's."""
    library = ctypes.CDLL(None)
    library.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    library.signal(_SIGTERM, _SIG_DFL)
