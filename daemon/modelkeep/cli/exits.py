"""What the exit status means, and how an error becomes one line and a status."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

import typer

from modelkeep.cli.wording import clean
from modelkeep.errors import (
    Busy,
    CatalogueMissing,
    Conflict,
    DaemonError,
    FileChanged,
    ModelkeepError,
    NotFound,
    Outdated,
    SettingsError,
)


class Status(IntEnum):
    """The exit status of every command."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    NOT_RUNNING = 3
    NOT_FOUND = 4
    CONFLICT = 5
    BROKEN_PIPE = 141
    """What a shell reports for a program that SIGPIPE ended: whoever read the output had enough."""


class DaemonNotRunning(DaemonError):
    """The command needs the daemon, and nothing answers at its socket."""


class WrongUse(ModelkeepError):
    """The command line asks for something that cannot be meant."""


class Refused(ModelkeepError):
    """The command was meant, but doing it would destroy something or make no sense here."""


def status_of(error: ModelkeepError) -> Status:
    """Return the exit status that stands for an error."""
    if isinstance(error, DaemonNotRunning):
        return Status.NOT_RUNNING
    if isinstance(error, (NotFound, CatalogueMissing)):
        return Status.NOT_FOUND
    if isinstance(error, (Conflict, Busy, FileChanged, Outdated)):
        return Status.CONFLICT
    if isinstance(error, (SettingsError, WrongUse)):
        return Status.WRONG_USE
    return Status.FAILED


def complain(sentence: str) -> None:
    """Write a sentence on standard error, whatever it contains; several problems stand on a line each."""
    for line in sentence.splitlines() or [""]:
        print(f"modelkeep: {clean(line)}", file=sys.stderr)


@contextmanager
def errors_reported() -> Iterator[None]:
    """Turn every expected error inside into a line on standard error and an exit status."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except ModelkeepError as error:
        complain(str(error))
        raise typer.Exit(status_of(error)) from error
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(Status.BROKEN_PIPE) from error
    except OSError as error:
        # Whatever the system refuses (rights, a full disk) concerns the user, and a traceback tells less.
        _discard_output()
        named = f"{error.filename}: " if isinstance(error.filename, str) else ""
        complain(f"{named}{error.strerror or error}")
        raise typer.Exit(Status.FAILED) from error


def _discard_output() -> None:
    """Send what is still buffered to nowhere: the interpreter would fail on it once more when it exits."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or replaced by something without a descriptor
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def terminated_in_order() -> Iterator[None]:
    """Let SIGTERM inside end the command as Ctrl-C does: what is open is closed, what is staged is removed."""

    def interrupt(_number: int, frame: FrameType | None) -> None:
        # While a coroutine runs, asyncio has a handler of its own that calls it off in order.
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # a shell without job control lets background programs ignore Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until what is inside is whole; it has to be short."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
