"""The real program as a real process: started, asked, stopped and killed by tests."""

import fnmatch
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import httpx
from tests.journal_files import Record as Record  # part of what this module offers
from tests.journal_files import read_journal
from tests.process_groups import characters_read, members
from tests.program_forks import Started, start_program
from tests.waiting import DEADLINE_SECONDS, wait_until

from modelkeep.pipeline.sha256 import implementation

Tables = Mapping[str, Mapping[str, object]]

STOP_SECONDS = 10.0
"""What the product promises for SIGTERM, on a machine that is not busy with tests."""

FAST: Tables = {
    "api": {"port": 0},
    "watch": {"settle_seconds": 0.3, "rescan_seconds": 900},
    "sweep": {"interval_seconds": 0.5, "retry_base_seconds": 0.5},
    "hashing": {
        "yield_under_pressure": False,  # the machine that runs the tests is busy with them
        "tensor_digests": implementation().streams > 1,  # without the library each file would be read once more
    },
}
"""Settings that keep the tests short."""

WITH_TENSORS: Tables = {"hashing": {"tensor_digests": True}}
"""For tests that are about the digests of tensors."""

_OWN_FRAME = re.compile(r'File ".*/(daemon|site-packages)/modelkeep/')
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""httpx would read all certificates of the system anew for each client."""


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the JSON document on standard output."""
        return json.loads(self.out)


UNHEARD = (
    "SELECT sha256 FROM contents"
    " WHERE sha256 IN (SELECT sha256 FROM locations WHERE state = 'present' AND NOT claimed)"
    " AND (image_waits OR format <> '' AND sha256 NOT IN (SELECT sha256 FROM knowledge))"
)
"""A content that is there and whose header has still to be taken in: that is done soon after its model is made."""

UNFINISHED = (
    "SELECT path FROM locations WHERE (claimed OR doubted) AND state = 'present'"
    f" UNION ALL SELECT path FROM pending_import WHERE state = 'waiting' UNION ALL {UNHEARD} LIMIT 1"
)
"""Whatever is still to be done, in one statement: a claim that is refuted between two would be in neither."""


class DaemonProcess:
    """One data folder with its configuration, and the daemon that may run on it.

    Args:
        folder: where configuration, data folder and logs are put.
        roots: folders of models; with a type as `(path, type)`.
        tables: options beyond `FAST`, by table.
        obeys_rights: take from root the right to pass over file modes.
    """

    def __init__(
        self,
        folder: Path,
        roots: Sequence[Path | tuple[Path, str]],
        tables: Tables | None = None,
        *,
        obeys_rights: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data_dir = folder / "state"
        self.config = folder / "modelkeep.toml"
        self.socket = folder / "mk.sock"
        self.log = folder / "stderr.log"
        self._obeys_rights = obeys_rights
        self._process: Started | None = None
        self._groups: list[int] = []
        self.configure(roots, tables or {})

    def configure(self, roots: Sequence[Path | tuple[Path, str]], tables: Tables) -> None:
        """Write the configuration."""
        merged: dict[str, dict[str, object]] = {"api": {"socket": str(self.socket)}}
        for named in (FAST, tables):
            for name, table in named.items():
                merged.setdefault(name, {}).update(table)
        lines = [f"data_dir = {_toml(str(self.data_dir))}"]
        for root in roots:
            path, type_ = root if isinstance(root, tuple) else (root, "")
            lines += ["[[roots]]", f"path = {_toml(str(path))}", f"type = {_toml(type_)}"]
        for name, options in merged.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in options.items())]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # Life

    def start(self, *arguments: str, ready: bool = True) -> "DaemonProcess":
        """Start the daemon, and wait until it says that it is ready."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        self._process = self.begin(*arguments, "run")
        if ready:
            wait_until(self._is_ready, what="the daemon to be ready")
        return self

    def stop(self) -> float:
        """Ask it to stop by SIGTERM; it has to end well. Returns how many seconds it took."""
        process = self._running()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"it did not stop within {DEADLINE_SECONDS:g} s; it said:\n{self.last_words()}"
            ) from None
        assert status == 0, f"it ended with {status}; it said:\n{self.last_words()}"
        return time.monotonic() - began

    def kill(self) -> None:
        """End it by SIGKILL: it has no chance to do anything more."""
        process = self._running()
        process.kill()
        process.wait(DEADLINE_SECONDS)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait until it ends by itself; returns its exit status."""
        assert self._process is not None, "it was never started"
        return self._process.wait(seconds)

    def close(self) -> None:
        """End everything that is left of it."""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        if self._process is not None:
            self._process.wait(DEADLINE_SECONDS)

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._running().pid

    def processes(self) -> list[int]:
        """Return all live processes of its group: the daemon, its workers and their resource trackers."""
        return [pid for group in self._groups for pid in members(group)]

    def read_characters(self) -> int:
        """Return how many bytes all its processes have read so far (`rchar` of proc_pid_io(5))."""
        return sum(characters_read(pid) for pid in self.processes())

    @property
    def url(self) -> str:
        """Where it listens on TCP."""
        return self.said().split("ready at ")[-1].split(",")[0]

    def said(self) -> str:
        """Return what it wrote on standard output and standard error."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def has_failed_inside(self) -> bool:
        """Return whether the program wrote a traceback; Python writes its own when a killed parent is missed."""
        return _OWN_FRAME.search(self.said()) is not None

    def last_words(self) -> str:
        """Return the end of it."""
        return "\n".join(self.said().splitlines()[-12:])

    # Questions

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request through the unix socket."""
        transport = httpx.HTTPTransport(uds=str(self.socket), verify=_NO_TLS)
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
            try:
                return client.request(method, path, **options)
            except httpx.ConnectError as error:
                _close_sockets_of(error)
                raise

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON answer to a question that has to succeed."""
        answer = self.request("GET", path, params=parameters)
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: object = None) -> httpx.Response:
        """Send JSON."""
        return self.request("POST", path, json={} if body is None else body)

    def status(self) -> dict[str, Any]:
        """Return what `GET /api/status` answers."""
        answer: dict[str, Any] = self.get("/api/status")
        return answer

    def rows(self, query: str, *parameters: object) -> list[Record]:
        """Ask the catalogue's file itself."""
        database = self.data_dir / "modelkeep.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, parameters)]

    def journal(self, event: str = "*") -> list[Record]:
        """Return the journal's records of an event (a glob), after checking all of them."""
        return [
            record for record in read_journal(self.data_dir / "journal") if fnmatch.fnmatch(record["event"], event)
        ]

    def is_idle(self) -> bool:
        """Return whether nothing is on its way and no claim waits to be confirmed."""
        status = self.status()
        pending, hashing = status["pending"], status["hashing"]
        if pending["waiting"] or pending["hashing"] or hashing["active"] or hashing["queued"]:
            return False
        if any(root["state"] == "scanning" for root in status["watch"]["roots"]):
            return False
        # A row that a refuted claim brought meanwhile may be committed by now, and its images still be published.
        return not self.rows(UNFINISHED) and not self.status()["pending"]["hashing"]

    def wait_idle(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until nothing is on its way."""
        wait_until(self.is_idle, seconds, "the daemon to be idle")

    def wait_paused(self) -> None:
        """Wait until every root has been looked through and nothing is being hashed, for all the rest is paused."""

        last_told, unchanged_since = -1, 0.0

        def rests() -> bool:
            nonlocal last_told, unchanged_since
            status = self.status()
            is_scanning = any(root["state"] == "scanning" for root in status["watch"]["roots"])
            told = len([record for record in self.journal() if not record["event"].startswith("sweep.")])
            if told != last_told:  # what was hashed before the pause is being migrated
                last_told, unchanged_since = told, time.monotonic()
            is_quiet = time.monotonic() - unchanged_since > 0.5 and not self._read_rows() and not self.rows(UNHEARD)
            return bool(status["paused"] and not status["hashing"]["active"] and not is_scanning and is_quiet)

        wait_until(rests, what="the paused daemon to rest")

    def _read_rows(self) -> set[int]:
        """Return the rows of the queue whose file has been read."""
        read = {record["pending_id"] for record in self.journal("hash.finished") if "pending_id" in record}
        return read & {row["id"] for row in self.rows("SELECT id FROM pending_import")}

    def wait_model(self, path: Path, seconds: float = DEADLINE_SECONDS) -> str:
        """Wait until the file at a path is a present location; returns the hash."""
        query = "SELECT sha256 FROM locations WHERE path = ? AND state = 'present' AND NOT claimed"
        found = wait_until(lambda: self.rows(query, str(path)), seconds, f"{path.name} to be in the catalogue")
        return str(found[0]["sha256"])

    def command(self, *arguments: str, timeout: float = 120.0) -> Finished:
        """Run the command line on this configuration."""
        with Path(os.devnull).open("rb") as nothing, TemporaryFile() as out, TemporaryFile() as err:
            begun = self._start(arguments, (nothing, out, err))
            try:
                status = begun.wait(timeout)
            finally:
                begun.kill()
            written = []
            for file in (out, err):
                file.seek(0)
                written.append(file.read().decode(errors="replace"))
        return Finished(status, *written)

    def pause(self) -> None:
        """Have it begin no more hashing."""
        assert self.post("/api/migration/pause").is_success

    def resume(self) -> None:
        """Have it go on hashing."""
        assert self.post("/api/migration/resume").is_success

    def scan(self) -> dict[str, Any]:
        """Have it look through its roots; returns what it found."""
        answer = self.post("/api/scan")
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def begin(self, *arguments: str) -> Started:
        """Begin a command in a process group of its own, without waiting for its end."""
        with Path(os.devnull).open("rb") as nothing, self.log.open("ab") as log:
            begun = self._start(arguments, (nothing, log, log), session=True)
        self._groups.append(begun.pid)
        return begun

    def must(self, *arguments: str) -> Finished:
        """Run a command that has to succeed."""
        done = self.command(*arguments)
        assert done.status == 0, f"{' '.join(arguments)} ended with {done.status}: {done.out}{done.err}"
        return done

    def program(self, *arguments: str) -> list[str]:
        """Return the command line of the program on this configuration."""
        return [sys.executable, "-m", "modelkeep", "--config", str(self.config), *arguments]

    def _start(self, arguments: Sequence[str], streams: Sequence[IO[bytes]], *, session: bool = False) -> Started:
        command, environment = self.program(*arguments), _environment()
        return start_program(command, environment, streams, session=session, obeys_rights=self._obeys_rights)

    def _running(self) -> Started:
        assert self._process is not None, "it was never started"
        assert self._process.poll() is None, f"it ended with {self._process.poll()}; it said:\n{self.last_words()}"
        return self._process

    def _is_ready(self) -> bool:
        self._running()
        return self._listens() and self.request("GET", "/healthz").status_code == 200

    def _listens(self) -> bool:
        # httpx leaves a socket open that it could not connect.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.socket)) == 0


def _close_sockets_of(error: BaseException | None) -> None:
    """Close what httpx leaves open when it could not connect: who collects the garbage would complain of it."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, socket.socket):
                    value.close()
        error = error.__cause__ or error.__context__


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _environment() -> dict[str, str]:
    ours = ("MODELKEEP_", "PYTEST_", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "COLUMNS", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"TERM": "dumb"}
