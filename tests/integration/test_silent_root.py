"""A network mount that stops answering holds up nobody but itself, and all goes on when it answers again."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.daemon_process import DaemonProcess, Tables
from tests.integration.conftest import DaemonMaker
from tests.integration.silent_mount import SilentMount
from tests.libraries import LegacyLibrary, noise, put, safetensors, sha256_of, write_legacy_database
from tests.waiting import wait_until

SILENCE_SECONDS = 3.0
PROMPT_SECONDS = 30.0
"""Within which the daemon answers whatever does not concern the mount; on a busy machine too."""


@pytest.fixture
def behind(tmp_path: Path) -> Path:
    """The folder that the server shows."""
    folder = tmp_path / "behind"
    put(folder / "loras" / "known.safetensors", safetensors(noise("known", 1000)))
    return folder


@pytest.fixture
def mount(tmp_path: Path, behind: Path) -> Iterator[SilentMount]:
    """The server, and the root where its folder is seen."""
    point = tmp_path / "network"
    point.mkdir()
    try:
        made = SilentMount(behind, point)
    except OSError:
        pytest.skip("it takes /dev/fuse and the right to mount")
    yield made
    made.close()


@pytest.fixture
def daemon(make_daemon: DaemonMaker, mount: SilentMount, models: Path) -> DaemonProcess:
    """A daemon with the network mount and an ordinary folder as roots."""
    tables: Tables = {"watch": {"silence_seconds": SILENCE_SECONDS, "settle_seconds": 0.3}, "hashing": {"workers": 2}}
    return make_daemon(mount.point, models, tables=tables)


def state_of(daemon: DaemonProcess, root: Path) -> tuple[str, str]:
    """Return a root's state and the reason for it."""
    (found,) = (each for each in daemon.status()["watch"]["roots"] if each["path"] == str(root))
    return found["state"], found.get("reason", "")


def is_silent(daemon: DaemonProcess, root: Path) -> bool:
    state, reason = state_of(daemon, root)
    return state == "unreachable" and "nothing has answered" in reason


def waits_in(pid: int, place: str) -> bool:
    """Return whether a thread of a process waits at such a place of the kernel."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it ended meanwhile
            if place in (thread / "stack").read_text():
                return True
    return False


class Prompt:
    """Asks the daemon all the time; fails when one answer takes too long."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.slowest = 0.0

    def __enter__(self) -> "Prompt":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        assert self.slowest < PROMPT_SECONDS, f"an answer took {self.slowest:.1f} s"

    def _ask(self) -> None:
        while not self._ended.wait(0.05):
            began = time.monotonic()
            self._daemon.request("GET", "/healthz")
            self.slowest = max(self.slowest, time.monotonic() - began)


def test_a_silent_root_is_unreachable_until_it_answers_and_holds_up_nobody(
    daemon: DaemonProcess, mount: SilentMount, models: Path, behind: Path
) -> None:
    known = mount.point / "loras" / "known.safetensors"
    daemon.start().wait_model(known)
    mount.fall_silent()
    with Prompt(daemon):
        answer = daemon.post("/api/models/sha256", {"path": str(known)})
        assert answer.status_code == 503, answer.text
        assert "nothing has answered" in answer.json()["error"]
        wait_until(lambda: is_silent(daemon, mount.point), what="the root to be unreachable")
        daemon.scan()
        daemon.wait_model(put(models / "other.safetensors", safetensors(noise("other", 1000))))
        assert daemon.get("/api/duplicates")["duplicates"] == []
    assert [row["state"] for row in daemon.rows("SELECT state FROM locations WHERE path = ?", str(known))] == [
        "unreachable"
    ]
    new = put(behind / "new.safetensors", safetensors(noise("new", 1000)))
    mount.answer_again()
    assert daemon.wait_model(mount.point / "new.safetensors") == sha256_of(new)
    daemon.wait_model(known)
    assert state_of(daemon, mount.point)[0] == "polling"
    assert [record["event"] for record in daemon.journal("root.*")] == ["root.unreachable", "root.returned"]


def test_a_read_that_hangs_and_cannot_even_be_killed_gives_its_slot_back(
    daemon: DaemonProcess, mount: SilentMount, models: Path, behind: Path
) -> None:
    daemon.start().wait_model(mount.point / "loras" / "known.safetensors")
    with (behind / "endless.pt").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    daemon.scan()
    wait_until(lambda: daemon.status()["hashing"]["active"], what="the file to be hashed")
    mount.fall_silent(swallow=True)
    wait_until(lambda: not daemon.status()["hashing"]["active"], what="the read to be given up")
    wait_until(lambda: is_silent(daemon, mount.point), what="the root to be unreachable")
    for number in range(3):
        daemon.wait_model(put(models / f"{number}.safetensors", safetensors(noise(str(number), 1000))))
    (behind / "endless.pt").unlink()
    mount.answer_again()
    wait_until(lambda: state_of(daemon, mount.point)[0] == "polling", what="the root to be back")
    daemon.stop()


@pytest.mark.parametrize("when", ["in a scan", "in a read", "in an import"])
def test_a_stop_ends_in_time_whatever_hangs(
    make_daemon: DaemonMaker, mount: SilentMount, models: Path, behind: Path, when: str
) -> None:
    daemon = make_daemon(mount.point, models)  # as long as it is patient by itself
    daemon.start().wait_model(mount.point / "loras" / "known.safetensors")
    if when == "in a read":
        with (behind / "endless.pt").open("wb") as file:
            os.truncate(file.fileno(), 2**40)
        daemon.scan()
        wait_until(lambda: daemon.status()["hashing"]["active"], what="the file to be hashed")
    source = write_legacy_database(behind, LegacyLibrary().models)
    mount.fall_silent()
    if when != "in a read":
        asked = (
            ("/api/scan", {}) if when == "in a scan" else ("/api/import", {"source": str(mount.point / source.name)})
        )
        threading.Thread(target=_ask, args=[daemon, *asked], daemon=True).start()
        wait_until(lambda: waits_in(daemon.pid, "fuse"), what="it to hang")
    daemon.stop()
    assert daemon.journal("daemon.stopped")


def test_a_root_that_is_silent_from_the_beginning_delays_neither_start_nor_commands(
    daemon: DaemonProcess, mount: SilentMount, models: Path
) -> None:
    mount.fall_silent()
    daemon.start()
    daemon.wait_model(put(models / "other.safetensors", safetensors(noise("other", 1000))))
    wait_until(lambda: is_silent(daemon, mount.point), what="the root to be unreachable")
    assert daemon.command("status").status == 0
    mount.answer_again()
    daemon.wait_model(mount.point / "loras" / "known.safetensors")


def _ask(daemon: DaemonProcess, path: str, body: object) -> None:
    with suppress(httpx.TransportError):  # it stops meanwhile
        daemon.post(path, body)
