"""The program's entry. It loads the command line only when it is run.

Worker processes import this module when they start; they must not pay for the command line and the web framework.
"""

import atexit
import gc
import os
import sys
import threading

_NEW_OBJECTS = 20_000
"""So many come before the garbage is looked for: Python's 700 are a sixth of the time that loading modules takes."""


def main() -> None:
    """Run the command line."""
    # Whatever else is installed beside modelkeep has no business in it, and to look for that takes long.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_NEW_OBJECTS)
    from modelkeep.cli import run

    try:
        run()
    except SystemExit as end:
        _leave(end.code or 0)
        raise


def _leave(status: object) -> None:
    """End this process with a status, unless something of it goes on or cannot be said.

    Python would take apart first, object by object, all that was loaded: a quarter of the time that a command takes.
    """
    goes_on = any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    if goes_on or not isinstance(status, int):
        return
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (AttributeError, OSError, ValueError):  # there is none, nobody reads it, or it is closed: Python says so
        return
    os._exit(status)


if __name__ == "__main__":
    main()
