"""The command line: one module per group of commands, and what they share."""

import sys
from collections.abc import Sequence

_OPTIONS = ("--config", "--data-dir")
_GIVEN = tuple(f"{option}=" for option in _OPTIONS)


def run() -> None:
    """Run the command line with the arguments of this process."""
    try:
        # Only now: whoever imports a module of this package alone shall not load them all. Nor shall the daemon,
        # which would hold them in memory as long as it runs.
        if is_run(sys.argv[1:]):
            from modelkeep.cli.daemon import app
        else:
            from modelkeep.base.memory import leave_out

            leave_out("httpx._main")  # its command line loads click, and pygments to show what it fetches
            from modelkeep.cli.app import app

        app(prog_name="modelkeep")
    except KeyboardInterrupt:  # so early that nothing but this has begun
        sys.exit(130)


def is_run(words: Sequence[str]) -> bool:
    """Return whether a command line has nothing but `run` after the options that every command shares."""
    *options, command = words or [""]
    rest = iter(options)
    for word in rest:
        is_complete = (
            word == "--dev" or word.startswith(_GIVEN) or (word in _OPTIONS and next(rest, None) is not None)
        )
        if not is_complete:
            return False
    return command == "run"
