"""What processes of ours have in common: how they are started, and why one cannot be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from modelkeep.domain.faults import why_no_worker

START_SECONDS = 60.0
"""How long a process may take to begin, on a machine however busy."""


def start(program: str, *arguments: int, stdin: int, stdout: int) -> "subprocess.Popen[bytes]":
    """Start a process that never hears the terminal's signals: they are its parent's.

    Args:
        program: what it runs, in Python; it calls `tie_to` with the first of its arguments, this process's id.
        arguments: those that follow.
        stdin: its standard input, as of `subprocess.Popen`.
        stdout: its standard output.

    Raises:
        OSError: it cannot be started.
    """
    # The whole path is handed over, and neither `site` nor the folder that we happen to be in is asked for more.
    command = [sys.executable, "-S", "-P", "-c", program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # It has the mask of this thread from its first instant on. What comes for us meanwhile waits, and is not lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        return subprocess.Popen(  # noqa: S603 - our own
            [*command, str(os.getpid()), *map(str, arguments)], stdin=stdin, stdout=stdout, env=environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def why_none(error: Exception) -> str:
    """Return why no worker process can be started, as a sentence.

    Args:
        error: with which the start of one failed; only an OSError that is no broken pipe says more than that it did.
    """
    sentence = "worker processes cannot be started: "
    if _is_gone(sys.executable):
        return f"{sentence}{sys.executable} is gone; if Python or modelkeep was updated, restart modelkeep"
    # A pipe to a process that has ended before it could read what it is for is broken.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return sentence + why_no_worker(error)
    return (
        f"{sentence}they end at once; is there enough memory? if modelkeep was updated, restart it; its log says more"
    )


def _is_gone(path: str) -> bool:
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it may be there: what keeps us from it is told
        return False
    return False
