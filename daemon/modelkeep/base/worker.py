"""What runs in a worker process: it begins, and does one call after the other. Loads nothing but what that needs.

It says None once it has begun, and then of each call `(True, result)` or `(False, error)`, pickled, on what was its
standard output. It ends when its standard input is closed.
"""

import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from modelkeep.base.parent import tie_to

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def main() -> None:
    """Serve the process whose id is the argument."""
    tie_to(int(sys.argv[1]))
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a foreign library prints is no answer
    with suppress(EOFError, BrokenPipeError):  # nobody waits any more
        initializer = pickle.load(calls)  # noqa: S301 - our own process wrote it
        if initializer is not None:
            initializer()
        _say(answers, pickle.dumps(None))
        while True:
            _say(answers, _outcome(pickle.load(calls)))  # noqa: S301 - likewise
    os._exit(0)  # what is left in `answers` cannot be written


def _outcome(call: Call) -> bytes:
    function, arguments, named = call
    try:
        return pickle.dumps((True, function(*arguments, **named)), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # also what ends a process: the next call is none of its business
        return _pickled(error)


def _pickled(error: BaseException) -> bytes:
    import traceback

    told = "".join(traceback.format_exception(error))
    error.add_note(f"in a worker process:\n{told}")
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)  # some errors can be sent, and not be made again  # noqa: S301 - it is our own
    except Exception:
        return pickle.dumps((False, RuntimeError(told)))
    return answer


def _say(answers: BinaryIO, answer: bytes) -> None:
    answers.write(answer)
    answers.flush()
