"""As `batch.py`, for the lives of `owner_lives.py`."""

import sys
from pathlib import Path

sys.path[:0] = [folder for folder in (str(Path(__file__).parents[2]),) if folder not in sys.path]

if __name__ == "__main__":
    from tests.crash import lives, owner_lives

    lives.PROGRAMS.update(owner_lives.PROGRAMS)
    lives.main(sys.argv[1])
