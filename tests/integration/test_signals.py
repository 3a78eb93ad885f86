"""SIGHUP reads the configuration again, SIGINT stops like SIGTERM, and SIGABRT has it say where it hung."""

import os
import signal
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration import many_busy_threads
from tests.libraries import put, safetensors
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("by_exec")


def roots_of(daemon: DaemonProcess) -> dict[str, str]:
    """Return the state of each root."""
    return {root["path"]: root["state"] for root in daemon.status()["watch"]["roots"]}


def test_sighup_adds_and_removes_roots_without_a_restart(tmp_path: Path, models: Path, daemon: DaemonProcess) -> None:
    known = put(models / "loras" / "known.safetensors", safetensors("known"))
    sha256 = daemon.wait_model(known)
    other, pid = tmp_path / "other", daemon.pid
    added = put(other / "vae" / "added.safetensors", safetensors("added"))
    daemon.configure([models, other], {})
    os.kill(pid, signal.SIGHUP)
    daemon.wait_model(added)
    wait_until(lambda: roots_of(daemon) == {str(models): "watching", str(other): "watching"})
    put(other / "later.safetensors", safetensors("later"))
    daemon.wait_model(other / "later.safetensors")
    daemon.configure([other], {})
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: roots_of(daemon) == {str(other): "watching"})
    assert daemon.pid == pid
    # What is known of a folder that is no root any more stays known.
    assert daemon.get(f"/api/models/{sha256}")["path"] == str(known)
    assert daemon.post("/api/models/sha256", {"path": str(known)}).status_code == 403


def test_sighup_with_a_wrong_configuration_changes_nothing_and_says_why(models: Path, daemon: DaemonProcess) -> None:
    daemon.wait_idle()
    before = roots_of(daemon)
    said = daemon.said()
    daemon.config.write_text("[watch]\nsettel_seconds = 1\n")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: "settel_seconds" in daemon.said()[len(said) :], what="the reason to be told")
    assert "Traceback" not in daemon.said()
    assert roots_of(daemon) == before
    put(models / "still.safetensors", safetensors("still"))
    daemon.wait_model(models / "still.safetensors")


def test_sigint_stops_in_order(daemon: DaemonProcess) -> None:
    os.kill(daemon.pid, signal.SIGINT)
    assert daemon.wait() == 0
    assert [record["reason"] for record in daemon.journal("daemon.stopped")] == ["asked to stop"]


class AmongBusyThreads(DaemonProcess):
    """A daemon that is aborted while many of its threads run."""

    def program(self, *arguments: str) -> list[str]:
        """Return the command line."""
        python, _, _, *rest = super().program(*arguments)
        return [python, many_busy_threads.__file__, str(self.folder / "abort"), *rest]


@pytest.mark.parametrize("life", range(2))
def test_sigabrt_says_where_the_event_loop_was_whatever_other_threads_do(
    tmp_path: Path, models: Path, life: int
) -> None:
    daemon = AmongBusyThreads(tmp_path / "daemon", [models])
    try:
        (daemon.start().folder / "abort").touch()
        assert daemon.wait() == -signal.SIGABRT, daemon.last_words()
    finally:
        daemon.close()
    assert "Fatal Python error: Aborted" in daemon.said()
    assert "service/running.py" in daemon.said()
