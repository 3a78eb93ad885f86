"""Worker processes that cannot be started: the daemon's trouble, and no file's fault."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.libraries import put, safetensors, sha256_of
from tests.waiting import wait_until


class DaemonOfPython(DaemonProcess):
    """A daemon whose interpreter is called by a link, which may be taken away as an update does."""

    @property
    def python(self) -> Path:
        """The link."""
        return self.folder / "python"

    def program(self, *arguments: str) -> list[str]:
        """Return the command line of the program."""
        return [str(self.python), *super().program(*arguments)[1:]]


@pytest.fixture
def daemon(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonOfPython]:
    libraries = [sysconfig.get_path("purelib"), os.environ.get("PYTHONPATH", ""), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, libraries)))
    daemon = DaemonOfPython(tmp_path / "daemon", [models])
    daemon.python.symlink_to(Path(sys.executable).resolve())
    yield daemon
    daemon.close()


def troubles(daemon: DaemonProcess) -> dict[str, str]:
    return {trouble["part"]: trouble["error"] for trouble in daemon.status().get("troubles", [])}


def test_files_wait_until_workers_can_be_started_and_the_status_says_what_helps(
    models: Path, daemon: DaemonOfPython
) -> None:
    daemon.start()
    daemon.python.unlink()
    path = put(models / "a.safetensors", safetensors("a"))
    told = wait_until(lambda: troubles(daemon).get("hashing", ""), what="the trouble to be told")
    assert f"{daemon.python} is gone" in told
    assert "restart" in told
    asked = daemon.post("/api/models/sha256", {"path": str(path)})
    assert (asked.status_code, asked.json()["error"]) == (503, told)
    (row,) = daemon.rows("SELECT state, attempts, last_error FROM pending_import")
    assert row == {"state": "waiting", "attempts": 0, "last_error": ""}
    assert daemon.journal("hash.failed") == []
    daemon.python.symlink_to(Path(sys.executable).resolve())
    assert daemon.wait_model(path) == sha256_of(path)
    assert wait_until(lambda: not troubles(daemon))
