"""Where a row of the table is measured: a folder, a size, and whole daemons seen from outside."""

import http.client
import itertools
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.waiting import wait_until

SETTLE_SECONDS = 2.0
"""Quiet time of a file that does not prove that it is whole."""

_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "watch": {"settle_seconds": SETTLE_SECONDS},
    "sweep": {"interval_seconds": 60, "retry_base_seconds": 30},
}
"""What the tests set otherwise; all else is as it comes."""

_LONGEST_SECONDS = 3600.0
_LOOKS_A_SECOND = 100
_STEP_BACK_OFF: Mapping[str, object] = {"yield_under_pressure": False}


@dataclass(frozen=True)
class Scene:
    """One row's measurement.

    Args:
        folder: empty; everything is made in it.
        scale: times the size that the table names.
        rounds: how often each side runs.
    """

    folder: Path
    scale: float
    rounds: int

    def sized(self, size: int) -> int:
        """Return a number of items or bytes, scaled."""
        return max(1, round(size * self.scale))

    def fresh(self, name: str) -> Path:
        """Return an empty folder of that name."""
        made = self.folder / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        return made

    @contextmanager
    def daemon(self, *, steps_back: bool = False) -> Iterator["Measuring"]:
        """Run a daemon on one empty root, with an empty catalogue.

        Args:
            steps_back: for other programs: the bench itself is one, so only measurements at rest leave it on.
        """
        folder = self.fresh("daemon")
        root = folder / "models"
        root.mkdir()
        tables = dict(_DEFAULTS) if steps_back else {**_DEFAULTS, "hashing": _STEP_BACK_OFF}
        process = DaemonProcess(folder, [root], tables)
        try:
            yield Measuring(process, root)
        finally:
            process.close()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Measuring:
    """A daemon that is measured, and its root."""

    process: DaemonProcess
    root: Path

    def start(self) -> "Measuring":
        """Start it and wait until it has looked through its root."""
        self.process.start()
        self.process.wait_idle(_LONGEST_SECONDS)
        return self

    def seconds_until(self, query: str, expected: object, *parameters: object) -> float:
        """Return the seconds until the catalogue's file answers a query as expected; looks often, and cheaply."""
        began = time.perf_counter()
        self.wait_for(query, expected, *parameters)
        return time.perf_counter() - began

    def wait_for(self, query: str, expected: object, *parameters: object) -> None:
        """Wait until the catalogue's file answers a query as expected."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        database = self.process.data_dir / "modelkeep.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
            for looks in itertools.count(1):
                if connection.execute(query, parameters).fetchone() == (expected,):
                    return
                # Looking through all processes each time takes a tenth of a core from those that are measured.
                is_gone = looks % _LOOKS_A_SECOND == 0 and not self.process.processes()
                if is_gone or time.monotonic() > deadline:
                    raise AssertionError(f"{query} never answered {expected}:\n{self.process.last_words()}")
                time.sleep(1 / _LOOKS_A_SECOND)

    def rest(self, seconds: float) -> None:
        """Wait until nothing is on its way, and for its workers to be gone."""
        self.process.wait_idle(_LONGEST_SECONDS)
        time.sleep(seconds)

    def client(self) -> http.client.HTTPConnection:
        """Return a connection to its socket that stays open."""
        return _Unix(str(self.process.socket))

    def wait_hashing(self, files: int) -> None:
        """Wait until so many files are being hashed."""
        wait_until(lambda: len(self.process.status()["hashing"]["active"]) >= files, 60, "all workers to be at work")


class _Unix(http.client.HTTPConnection):
    """HTTP through a unix socket, with little of its own to be measured."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def write_random(path: Path, size_bytes: int) -> Path:
    """Write a file that no other equals, without a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = os.urandom(min(size_bytes, 1 << 20))
    with path.open("wb") as file:
        while (rest := size_bytes - file.tell()) > 0:
            file.write(block[:rest])
    return path


def dated_back(*folders: Path) -> None:
    """Have all files of folders look as if they had lain there for a while, and on disk."""
    then = time.time() - 3600
    for folder in folders:
        for path in folder.rglob("*"):
            os.utime(path, (then, then))
    os.sync()
