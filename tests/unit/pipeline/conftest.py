"""Files, processes and rights for the tests of the pipeline."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

NOT_UTF8 = "caf\udce9 模型.safetensors"
"""A base name whose bytes are no UTF-8."""

NOBODY = 65534

_HOLD_OPEN = "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"

HoldsOpen = Callable[[Path, str], "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True, scope="session")
def ignored_sigio() -> Iterator[None]:
    """A lease that is broken in the instant in which it is asked for sends SIGIO, whose default is to end us."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture
def hold_open() -> Iterator[HoldsOpen]:
    """Start processes that hold a file open in a mode (`r`, `ab`, …) until their standard input is closed."""
    started: list[subprocess.Popen[bytes]] = []

    def hold(path: Path, mode: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _HOLD_OPEN, os.fsencode(path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        return process

    yield hold
    for process in started:
        let_go(process)


def let_go(process: "subprocess.Popen[bytes]") -> None:
    """Have a process close its file and end."""
    with suppress(ValueError):  # it was closed already
        process.communicate(timeout=10)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter as well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def without_rights() -> Iterator[None]:
    """Run as a user to whom nothing belongs, if we are root: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
