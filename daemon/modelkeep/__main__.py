"""The program's entry. It loads the command line only when it is run."""

import atexit
import gc
import os
import sys

_NEW_OBJECTS = 20_000
"""So many come before the garbage is looked for: Python's 700 are a sixth of the time that loading modules takes."""


def main() -> None:
    """Run the command line."""
    statuses: list[int] = []
    # Before anything else is loaded: what is registered for the end is called in reverse order, so this comes last.
    atexit.register(_end_at_once, statuses)
    # Whatever else is installed beside modelkeep has no business in it, and to look for that takes long.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_NEW_OBJECTS)
    from modelkeep.cli import run

    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            statuses.append(end.code or 0)
        raise


def _end_at_once(statuses: list[int]) -> None:
    """End this process with its status, if that is known and all is said.

    Python would take apart first, object by object, all that was loaded: a quarter of the time that a command takes.
    """
    if not statuses:
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (AttributeError, OSError, ValueError):  # there is none, nobody reads it, or it is closed: Python says so
        return
    os._exit(statuses[0])


if __name__ == "__main__":
    main()
