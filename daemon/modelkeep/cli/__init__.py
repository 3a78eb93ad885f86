"""The command line: one module per group of commands, and what they share."""

import sys


def run() -> None:
    """Run the command line with the arguments of this process."""
    try:
        # Only now: whoever imports a module of this package alone shall not load them all.
        from modelkeep.cli.app import app

        app(prog_name="modelkeep")
    except KeyboardInterrupt:  # so early that nothing but this has begun
        sys.exit(130)
