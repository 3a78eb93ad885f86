"""The program started by a fork of a process that has done its imports: the same, a second of processor time sooner.

Whatever needs a real exec (another program before it, another environment or interpreter) is not started here.
"""

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

_WITHOUT_RIGHTS = "--bounding-set=-dac_override,-dac_read_search,-fowner"
_ENTRY = [sys.executable, "-m", "modelkeep"]


class Started(Protocol):
    """A program that was started, by a fork or by exec."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A program that a fork became; asked as `subprocess.Popen` is.

    Args:
        command: its command line.
        told: end of a pipe through which come its process id and, when it has ended, its exit status.
    """

    def __init__(self, command: Sequence[str], told: int) -> None:
        self._command = list(command)
        self._told = told
        self._status: int | None = None
        self.pid = self._answer()

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._ended_within(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns its exit status, negative for a signal."""
        status = self._ended_within(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self._command, timeout or 0.0)
        return status

    def send_signal(self, sig: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self._status is None and select.select([self._told], [], [], seconds)[0]:
            self._status = self._answer()
            os.close(self._told)
        return self._status

    def _answer(self) -> int:
        # No more than one line: where a program ends at once, its exit status is there as soon as its id.
        text = b""
        while not text.endswith(b"\n"):
            more = os.read(self._told, 1)
            assert more, "the preloaded program has ended; see what it wrote on standard error"
            text += more
        return int(text)


class _Preloaded:
    """The process that forks: one for each process of tests, which it does not outlive."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded_program", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self.environment,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def start(self, command: Sequence[str], streams: Sequence[int], **options: bool) -> Forked:
        told, telling = os.pipe()
        request = {"arguments": command[2:], "folder": str(Path.cwd()), **options}
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [telling, *streams])
        finally:
            os.close(telling)
        return Forked(command, told)

    def close(self) -> None:
        self._control.close()
        self._process.wait(60)


_preloaded: list[_Preloaded] = []
_only_by_exec: list[bool] = []


def start_program(
    command: Sequence[str],
    environment: Mapping[str, str],
    streams: Sequence[IO[bytes]],
    *,
    session: bool = False,
    obeys_rights: bool = False,
) -> Started:
    """Start the program, by a fork if that is the same.

    Args:
        command: the whole command line.
        environment: all of it.
        streams: standard input, output and error.
        session: whether it leads a session of its own.
        obeys_rights: whether root's right to pass over file modes is taken from it.
    """
    is_powerless = obeys_rights and os.geteuid() == 0
    if list(command[:3]) == _ENTRY and not _only_by_exec:
        if not _preloaded:
            _preloaded.append(_Preloaded(environment))
        if _preloaded[0].environment == dict(environment):
            descriptors = [stream.fileno() for stream in streams]
            return _preloaded[0].start(command, descriptors, session=session, is_powerless=is_powerless)
    stdin, stdout, stderr = streams
    whole = [*(_setpriv() if is_powerless else ()), *command]
    return subprocess.Popen(
        whole, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, start_new_session=session
    )


def _setpriv() -> list[str]:
    program = shutil.which("setpriv")
    return [program, _WITHOUT_RIGHTS] if program else []


@contextmanager
def only_by_exec() -> Iterator[None]:
    """Start programs as everybody does, in what is inside."""
    _only_by_exec.append(True)
    try:
        yield
    finally:
        _only_by_exec.pop()
