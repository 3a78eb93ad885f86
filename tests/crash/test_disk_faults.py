"""Disks that are full, read-only or failing, and a catalogue that another holds: told, outlasted, recovered from."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from tests.crash.file_systems import fill, small_disk
from tests.crash.running_daemon import (
    import_one,
    put_some,
    running,
    troubles,
    wait_recovered,
)
from tests.crash.system_calls import require_strace
from tests.daemon_process import DaemonProcess
from tests.libraries import LegacyLibrary, put, safetensors
from tests.waiting import DEADLINE_SECONDS, wait_until


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_a_full_disk_is_told_and_outlasted(tmp_path: Path, models: Path) -> None:
    state = tmp_path / "daemon" / "state"
    state.mkdir(parents=True)
    with small_disk(state, 4 << 20), running(tmp_path / "daemon", [models]) as daemon:
        files = put_some(models, "before")
        for path in files:
            daemon.wait_model(path)
        ballast = fill(state)
        files |= put_some(models, "during", 40)
        told = wait_until(lambda: troubles(daemon), what="the full disk to be told")
        assert any("full" in error or "No space" in error for error in told.values()), told
        database = LegacyLibrary().write(tmp_path / "legacy")
        assert daemon.command("import", "hikaze", str(database)).status == 1
        ballast.unlink()
        wait_recovered(daemon, files)


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    folders = [path for path in (folder, *folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    yield
    for path in folders:
        path.chmod(0o755)


@contextmanager
def mounted_read_only(folder: Path) -> Iterator[None]:
    try:
        for command in (["mount", "--bind", str(folder)], ["mount", "-o", "remount,bind,ro"]):
            subprocess.run([*command, str(folder)], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no folder can be mounted here: {error.stderr.decode().strip()}")
    yield
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("made_unwritable", [without_rights, mounted_read_only])
def test_a_folder_of_images_that_cannot_be_written_is_told_and_outlasted(
    tmp_path: Path, models: Path, made_unwritable: Callable[[Path], AbstractContextManager[None]]
) -> None:
    with running(tmp_path / "daemon", [models], obeys_rights=True) as daemon:
        daemon.pause()
        path = put(models / "loras" / "described.safetensors", safetensors("described"))
        import_one(daemon, tmp_path / "legacy", path)
        with made_unwritable(daemon.data_dir / "images"):
            daemon.resume()
            query = "SELECT last_error FROM pending_import WHERE state = 'failed'"
            (row,) = wait_until(lambda: daemon.rows(query), what="the row to be parked")
            assert "could not be written" in row["last_error"]
            for other in put_some(models, "other"):
                daemon.wait_model(other)
        daemon.wait_model(path)
        daemon.wait_idle()
        assert len(list((daemon.data_dir / "images").glob("*.webp"))) == 3
        assert daemon.journal("migration.failed")


def hold(daemon: DaemonProcess, seconds: float, models: Path) -> None:
    """Hold the catalogue's write lock until that is told and for so long, and see that all is well afterwards."""
    with closing(sqlite3.connect(daemon.data_dir / "modelkeep.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        files = put_some(models, "during")
        wait_until(lambda: "locked" in str(troubles(daemon)), what="the held lock to be told")
        assert not wait_stays(daemon, seconds)
        other.execute("ROLLBACK")
    wait_recovered(daemon, files)


def wait_stays(daemon: DaemonProcess, seconds: float) -> bool:
    """Wait that long, or until the daemon has ended; returns whether it has."""
    try:
        daemon.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_a_catalogue_that_another_program_holds_is_told_and_waited_for(tmp_path: Path, models: Path) -> None:
    with running(tmp_path / "daemon", [models]) as daemon:
        hold(daemon, 0.1, models)


@pytest.mark.soak
def test_a_catalogue_that_another_program_holds_for_a_minute(tmp_path: Path, models: Path) -> None:
    with running(tmp_path / "daemon", [models]) as daemon:
        hold(daemon, 60, models)


@contextmanager
def failing(daemon: DaemonProcess, call: str, error: str) -> Iterator[None]:
    """Let a system call of a running daemon fail for a while."""
    require_strace()
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-p", str(daemon.pid), "-e", f"trace={call}"]
    tracing = subprocess.Popen([*command, "-e", f"inject={call}:error={error}"], stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{daemon.pid}/status")
    has_hold = f"TracerPid:\t{tracing.pid}"
    wait_until(lambda: has_hold in status.read_text() or tracing.poll() is not None, what="strace to take hold of it")
    if tracing.poll() is not None:
        pytest.skip("strace may not trace a process that runs already")
    try:
        yield
    finally:
        tracing.send_signal(signal.SIGINT)
        tracing.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")])
def test_a_disk_that_fails_for_a_while_is_told_and_outlasted(
    tmp_path: Path, models: Path, call: str, error: str
) -> None:
    with running(tmp_path / "daemon", [models]) as daemon:
        with failing(daemon, call, error):
            files = put_some(models, "during")
            wait_until(lambda: troubles(daemon), what="the failing disk to be told")
        wait_recovered(daemon, files)
