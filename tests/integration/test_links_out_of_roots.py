"""Links lead out of a root to files and folders of ordinary file systems; never to what the kernel makes up."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.integration.conftest import DaemonMaker
from tests.integration.mount_points import mounting
from tests.integration.watching import roots_of, wait_states
from tests.libraries import put, safetensors
from tests.process_groups import kernel_watches
from tests.waiting import wait_until

KERNELS = ("/proc", "/sys", "/dev", "/proc/self/root", "/proc/self/cwd", "/proc/1/root", "/dev/fd")


def located(daemon: DaemonProcess) -> set[Path]:
    """Return the paths that the catalogue or its queue knows."""
    return {
        Path(row["path"]) for row in daemon.rows("SELECT path FROM locations UNION SELECT path FROM pending_import")
    }


@pytest.mark.parametrize("polling", ["never", "always"])
def test_a_cache_of_links_is_catalogued_and_the_machine_is_not(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker, polling: str
) -> None:
    for number, target in enumerate(("/", "..", *KERNELS)):
        (models / f"link {number}").symlink_to(target)
    (models / "chained").symlink_to("link 2")
    for name, target in {
        "core.bin": "/proc/version",
        "status.bin": "/proc/self/status",
        "sys.pt": "/sys/power/state",
    }.items():
        (models / name).symlink_to(target)
    inside, outside = models / "hub" / "blobs" / "inside", tmp_path / "cache" / "outside"
    snapshot = models / "hub" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "inside.safetensors").symlink_to(os.path.relpath(put(inside, safetensors("inside")), snapshot))
    (snapshot / "outside.safetensors").symlink_to(put(outside, safetensors("outside")))
    put(tmp_path / "drive" / "deep" / "a.safetensors", safetensors("drive"))
    (models / "drive").symlink_to(tmp_path / "drive")
    (tmp_path / "drive" / "deep" / "loop").symlink_to(tmp_path / "drive")
    wanted = {snapshot / "inside.safetensors", snapshot / "outside.safetensors", models / "drive/deep/a.safetensors"}
    daemon = make_daemon(tables={"watch": {"polling": polling}}).start()
    for path in wanted:
        daemon.wait_model(path)
    daemon.wait_idle()
    assert located(daemon) == wanted
    root = roots_of(daemon)[models]
    assert (root["state"], root["directories"]) == ("watching" if polling == "never" else "polling", 7)
    assert "is not followed" in root["reason"]
    told = " ".join(daemon.journal("rescan.finished")[0]["not_followed"])
    for name in ("core.bin", "chained", "link 0", "link 1", "link 2", "link 5"):
        assert f"{models / name}: " in told


def test_links_that_are_made_while_the_daemon_runs_are_judged_likewise(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    put(tmp_path / "drive" / "a.safetensors", safetensors("drive"))
    (models / "proc").symlink_to("/proc")
    (models / "core.bin").symlink_to("/proc/version")
    (models / "drive").symlink_to(tmp_path / "drive")
    daemon.wait_model(models / "drive" / "a.safetensors")  # no event tells of a link to a folder
    daemon.wait_model(
        put(tmp_path / "drive" / "b.safetensors", safetensors("b")).parent.parent / "models/drive/b.safetensors"
    )
    wait_until(lambda: "1 more like it" in roots_of(daemon)[models].get("reason", ""), what="the owner to be told")
    daemon.wait_idle()
    assert {path.name for path in located(daemon)} == {"a.safetensors", "b.safetensors"}
    assert not daemon.journal("watch.repaired")  # nothing was wrong
    (models / "proc").unlink()
    (models / "core.bin").unlink()
    daemon.scan()
    assert "reason" not in roots_of(daemon)[models]


def test_drives_to_which_links_lead_are_followed_when_they_are_mounted_and_out_of_reach_when_they_are_not(
    tmp_path: Path, models: Path, make_daemon: DaemonMaker
) -> None:
    stick, drive, other = (tmp_path / name for name in ("stick", "drive", "other drive"))
    for folder in (stick, drive, other):
        folder.mkdir()
    (models / "loras").symlink_to(drive / "loras")
    daemon = make_daemon().start()
    daemon.wait_idle()
    (models / "b.safetensors").symlink_to(other / "b.safetensors")
    with mounting(tmp_path / "mounts") as mounts:
        mounts.memory(stick)
        put(stick / "loras" / "a.safetensors", safetensors("a"))
        put(stick / "b.safetensors", safetensors("b"))
        mounts.bind(stick, drive)
        daemon.wait_model(models / "loras" / "a.safetensors")
        mounts.bind(stick, other)
        daemon.wait_model(models / "b.safetensors")
        daemon.wait_idle()
    # Now none of them is mounted any more.
    wait_states(daemon, models / "loras", a="unreachable")


def test_a_file_system_of_the_kernel_that_is_mounted_below_a_root_is_not_entered(
    models: Path, make_daemon: DaemonMaker
) -> None:
    point = models / "chroot" / "proc"
    point.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "proc", "proc", point], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        daemon = make_daemon().start()
        daemon.wait_model(put(models / "chroot" / "a.safetensors", safetensors("a")))
        root = roots_of(daemon)[models]
        assert root["directories"] == 2
        assert root["reason"].startswith(f"{point} is not followed: ")
        assert kernel_watches(daemon.pid) <= 4
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)
