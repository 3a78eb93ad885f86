"""The program's entry. It loads the command line only when it is run.

Worker processes import this module when they start; they must not pay for the command line and the web framework.
"""

import gc
import os

_NEW_OBJECTS = 20_000
"""So many come before the garbage is looked for: Python's 700 are a sixth of the time that loading modules takes."""


def main() -> None:
    """Run the command line."""
    # Whatever else is installed beside modelkeep has no business in it, and to look for that takes long.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_NEW_OBJECTS)
    from modelkeep.cli import run

    run()


if __name__ == "__main__":
    main()
