"""Lives short lives of a data folder in processes of their own, which tests kill, trace and cut the power of.

    python tests/crash/batch.py JOB      lives one
    python tests/crash/batch.py --serve  lives one after the other, each in a fork of this process, as lines of JSON
                                         come in; answers with each one's exit status

The fork saves the second that imports take; nothing but the imports is done before it, and no thread runs.
"""

import sys
from pathlib import Path

sys.path[:0] = [folder for folder in (str(Path(__file__).parents[2]),) if folder not in sys.path]

if __name__ == "__main__":
    from tests.crash import lives

    lives.main(sys.argv[1])
