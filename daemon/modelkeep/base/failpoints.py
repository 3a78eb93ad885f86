"""Named points before and after every durable step, at which a test can end the process.

Off (always, but in the crash tests) a point costs one comparison. `MODELKEEPTEST_FAILPOINT=name@3` ends the process,
without any clean-up, when the point is reached for the third time; `MODELKEEPTEST_FAILPOINT_LOG=file` notes every
point that is reached. The names are outside of the `MODELKEEP_` settings on purpose: no configuration turns this on.
"""

import os
from collections import Counter
from threading import Lock

EXIT_STATUS = 137
"""As after SIGKILL."""

_wanted, _, _count = os.environ.get("MODELKEEPTEST_FAILPOINT", "").partition("@")
_log = os.environ.get("MODELKEEPTEST_FAILPOINT_LOG", "")
_on = bool(_wanted or _log)
_reached: Counter[str] = Counter()
_lock = Lock()


def reach(name: str) -> None:
    """Be at a point; usually nothing happens."""
    if _on:
        _arrive(name)


def _arrive(name: str) -> None:
    with _lock:
        _reached[name] += 1
        if _log:
            descriptor = os.open(_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(descriptor, f"{name}@{_reached[name]}\n".encode())
            os.close(descriptor)
        if name == _wanted and _reached[name] == int(_count or 1):
            os._exit(EXIT_STATUS)
