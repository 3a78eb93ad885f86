"""The program as it is, until a file appears: then many of its threads call deeper and deeper, and it is aborted.

    python tests/integration/many_busy_threads.py FILE ARGUMENT ...

FILE is looked for; the arguments are the program's. The abort is the service manager's when the event loop hangs.
"""

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

THREADS, DEPTH, BUSY_SECONDS = 30, 900, 0.2


def abort_when_there(file: Path) -> None:
    """Wait for the file, make the threads, and abort while they run."""
    while not file.exists():
        time.sleep(0.05)
    for _ in range(THREADS):
        threading.Thread(target=call_on_and_on, daemon=True).start()
    time.sleep(BUSY_SECONDS)
    os.kill(os.getpid(), signal.SIGABRT)


def call_on_and_on() -> None:
    """Have a stack that grows and shrinks: whoever reads it from outside reads what is gone."""
    while True:
        call_deeper(DEPTH)


def call_deeper(left: int) -> int:
    """Return how deep it went."""
    return left and 1 + call_deeper(left - 1)


if __name__ == "__main__":
    threading.Thread(target=abort_when_there, args=(Path(sys.argv.pop(1)),), daemon=True).start()
    runpy.run_module("modelkeep", run_name="__main__", alter_sys=True)
