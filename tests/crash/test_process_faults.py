"""Workers that the kernel kills, disks that cannot be read, a daemon that is halted for a while, clocks that jump."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.crash.file_systems import loop_disk
from tests.crash.memory_cgroup import memory_cgroup, oom_kills
from tests.crash.running_daemon import import_one, put_some, running
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.libraries import put, safetensors, sha256_of
from tests.process_groups import HASH_WORKER, IMAGE_WORKER, readers_among, workers_among
from tests.programs import without
from tests.waiting import wait_until

LARGE_BYTES = 1 << 30
HOUR_SECONDS = 3600

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def workers(daemon: DaemonProcess) -> list[int]:
    """Return the daemon's worker processes."""
    return workers_among(daemon.processes(), HASH_WORKER, IMAGE_WORKER)


def large_file(path: Path) -> Path:
    """Make a file that takes a second to hash, and no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    then = time.time() - 60
    os.utime(path, (then, then))
    return path


def test_a_worker_that_the_kernel_kills_for_its_memory_is_replaced(tmp_path: Path, models: Path) -> None:
    with memory_cgroup(4 << 20) as cgroup, running(tmp_path / "daemon", [models]) as daemon:
        first, second = (put(models / "loras" / f"{name}.safetensors", safetensors(name)) for name in ("a", "b"))
        import_one(daemon, tmp_path / "first", first)
        daemon.wait_model(first)
        for pid in workers(daemon):
            with suppress(ProcessLookupError):  # one that hashes may have ended for want of work
                cgroup.write_text(str(pid))
        import_one(daemon, tmp_path / "second", second, png(2, (3000, 2000)))
        daemon.wait_idle()
        assert oom_kills(cgroup) >= 1
        assert len(daemon.rows("SELECT * FROM images")) == 2
        assert len(list((daemon.data_dir / "images").glob("*.webp"))) == 6


def test_a_file_under_which_three_workers_die_is_parked_with_that_reason(tmp_path: Path, models: Path) -> None:
    with running(tmp_path / "daemon", [models], {"hashing": {"workers": 1}}) as daemon:
        path = large_file(models / "large.ckpt")
        for _ in range(3):
            (pid,) = wait_until(lambda: readers_among(workers(daemon), path), what="a worker to read the file")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda gone=pid: gone not in workers(daemon), what="it to be gone")  # type: ignore[misc]
        # The row itself is taken up again in a moment.
        (told,) = wait_until(lambda: daemon.journal("hash.failed"), what="the file to be parked")
        assert "3 hashing processes were killed under this file" in told["error"]
        assert told["retry_at"]
        for other, sha256 in put_some(models, "other").items():
            assert daemon.wait_model(other) == sha256
        daemon.wait_model(path)  # it is tried again when it is due, and lives


def test_a_disk_of_models_that_cannot_be_read_is_told_and_read_when_it_is_back(tmp_path: Path) -> None:
    with loop_disk("ext4", tmp_path) as disk:
        path = put(disk.mount_point / "loras" / "a.safetensors", safetensors("a"))
        with running(tmp_path / "daemon", [disk.mount_point]) as daemon:
            daemon.wait_model(path)
            daemon.pause()
            second = put(disk.mount_point / "loras" / "b.safetensors", safetensors("b"))
            os.sync()
            disk.lose_power()
            daemon.resume()
            query = "SELECT last_error FROM pending_import WHERE state IN ('failed', 'missing')"
            (row,) = wait_until(lambda: daemon.rows(query), what="the file to be parked")
            assert row["last_error"]
            disk.unmount()
            disk.mount()
            assert daemon.wait_model(second) == sha256_of(safetensors("b"))
            daemon.wait_idle()
            states = {place["path"]: place["state"] for place in daemon.rows("SELECT * FROM locations")}
            assert states == {str(path): "present", str(second): "present"}


def test_what_happens_while_the_daemon_is_stopped_for_a_while_is_found(tmp_path: Path, models: Path) -> None:
    with running(tmp_path / "daemon", [models]) as daemon:
        old = put_some(models, "old")
        for path in old:
            daemon.wait_model(path)
        os.kill(daemon.pid, signal.SIGSTOP)
        new = put_some(models, "new", 30)
        moved = {path.rename(path.with_name(f"moved-{path.name}")): sha256 for path, sha256 in old.items()}
        time.sleep(2)  # as long as somebody looks at it in a debugger
        os.kill(daemon.pid, signal.SIGCONT)
        for path, sha256 in {**new, **moved}.items():
            assert daemon.wait_model(path) == sha256
        daemon.wait_idle()
        assert daemon.status()["locations"] == {"present": 33, "missing": 0, "unreachable": 0}


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file whose content is by how many seconds the daemon's wall clock is wrong."""
    if FAKETIME is None:
        pytest.skip(without("faketime"))
    file = tmp_path / "clock"
    file.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_CACHE_DURATION", "1")  # without one each look at the clock would read the file
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    yield file
    shutil.rmtree(file, ignore_errors=True)


def park_unreadable(daemon: DaemonProcess, path: Path) -> Path:
    """Put a file that the daemon may not read, and wait until it tries again only later."""
    put(path, safetensors(path.name)).chmod(0)
    wait_until(lambda: daemon.rows("SELECT * FROM pending_import WHERE state = 'failed'"), what="it to be parked")
    return path


def test_a_clock_that_jumps_stops_nothing(tmp_path: Path, models: Path, clock: Path) -> None:
    with running(tmp_path / "daemon", [models], obeys_rights=True) as daemon:
        for number, seconds in enumerate((-HOUR_SECONDS, HOUR_SECONDS), start=1):
            unreadable = park_unreadable(daemon, models / "loras" / f"unreadable {seconds}.safetensors")
            clock.write_text(f"{seconds:+d}")
            put_meanwhile = put_some(models, f"after {seconds} ")
            # Of two jumps between two looks at the clock only what they come to together is seen.
            wait_until(lambda told=number: len(daemon.journal("clock.jumped")) >= told, what="the jump to be told")  # type: ignore[misc]
            for path, sha256 in put_meanwhile.items():
                assert daemon.wait_model(path) == sha256
            unreadable.chmod(0o644)
            daemon.wait_model(unreadable)
        expected = [-1000 * HOUR_SECONDS, 2000 * HOUR_SECONDS]
        assert [round(jump["shift_ms"], -4) for jump in daemon.journal("clock.jumped")] == expected
