"""Which file system a path lies on, from a sample of the kernel's list of mounts."""

import os
from pathlib import Path

import pytest

from modelkeep.disk.mounts import (
    carrier_of,
    file_system_of,
    is_any_below,
    is_network_file_system,
    may_be_away,
    mount_point_of,
    mount_points,
)

MOUNTINFO = """\
21 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
22 21 0:20 / /proc rw,nosuid - proc proc rw
30 21 0:40 / /mnt/nas rw,relatime shared:5 master:2 propagate_from:1 - nfs4 nas:/export rw,vers=4.2
31 30 259:3 / /mnt/nas/local rw,relatime - xfs /dev/sdb1 rw
32 21 0:41 / /mnt/nas\\040two rw - cifs //nas/share rw
33 21 0:42 / /mnt/with\\134backslash rw - 9p share rw
34 21 0:43 / /mnt/模型 rw - nfs nas:/models rw
35 21 0:44 / /mnt/é rw - nfs nas:/e rw
36 21 0:45 / /mnt/sshfs rw - fuse.sshfs me@host: rw
37 21 8:17 / /mnt/ntfs rw - fuseblk /dev/sdc1 rw
38 21 0:46 / /mnt/over rw - ext4 /dev/sdd1 rw
39 21 0:47 / /mnt/over rw - nfs4 nas:/over rw
40 21 0:48 / /mnt/tab\\011tab rw - ceph mon:/ rw
"""


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_bytes(MOUNTINFO.encode() + b"41 21 0:49 / /mnt/caf\xe9 rw - nfs nas:/cafe rw\n")
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me/models", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/loras/a.pt", "nfs4"),
        ("/mnt/nas-old/a.pt", "ext4"),
        ("/mnt/nas/local/a.pt", "xfs"),
        ("/mnt/nas two/a.pt", "cifs"),
        ("/mnt/with\\backslash/a.pt", "9p"),
        ("/mnt/tab\ttab/a.pt", "ceph"),
        ("/mnt/é/a.pt", "nfs"),
        ("/mnt/模型/a.pt", "nfs"),
        ("/mnt/caf\udce9/a.pt", "nfs"),
        ("/mnt/sshfs/a.pt", "fuse.sshfs"),
        ("/mnt/over/a.pt", "nfs4"),
    ],
)
def test_the_innermost_and_newest_mount_tells(mountinfo: Path, path: str, kind: str) -> None:
    assert file_system_of(path, mountinfo) == kind


@pytest.mark.parametrize(
    ("path", "point"), [("/home/me", "/"), ("/mnt/nas/local/a", "/mnt/nas/local"), ("/mnt/nas two", "/mnt/nas two")]
)
def test_it_is_told_where_a_file_system_is_mounted(mountinfo: Path, path: str, point: str) -> None:
    assert mount_point_of(path, mountinfo) == point


@pytest.mark.parametrize("path", ["/mnt/nas/a", "/mnt/nas two/a", "/mnt/sshfs/a", "/mnt/tab\ttab/a", "/mnt/over/a"])
def test_what_another_machine_may_change_is_a_network_file_system(mountinfo: Path, path: str) -> None:
    assert is_network_file_system(path, mountinfo)


@pytest.mark.parametrize("path", ["/home/me", "/mnt/nas/local/a", "/mnt/ntfs/a", "/mnt/nas-old"])
def test_a_local_disk_is_none(mountinfo: Path, path: str) -> None:
    assert not is_network_file_system(path, mountinfo)


def test_links_are_resolved_first(mountinfo: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to("/mnt/nas/models")
    assert is_network_file_system(str(tmp_path / "models"), mountinfo)


def test_where_the_kernel_does_not_tell_it_is_taken_for_local(tmp_path: Path) -> None:
    assert file_system_of("/", tmp_path / "nowhere") == ""
    assert not is_network_file_system("/", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("path", "is_below"), [("/mnt", True), ("/mnt/nas", True), ("/mnt/na", False), ("/home", False)]
)
def test_it_is_known_whether_what_was_mounted_lies_below_a_folder(
    mountinfo: Path, tmp_path: Path, path: str, is_below: bool
) -> None:
    (tmp_path / "link").symlink_to(path)
    points = {point for _, point in mount_points(mountinfo)} - {"/", "/proc"}
    assert is_any_below(points, str(tmp_path / "link")) is is_below


def test_this_machines_own_list_can_be_read(tmp_path: Path) -> None:
    assert file_system_of(str(tmp_path)) != ""
    assert file_system_of("/proc/self") == "proc"


@pytest.mark.parametrize(
    ("minor", "path", "carrier"),
    [
        (40, "/anywhere", ("nfs4", "nas:/export")),
        (99, "/mnt/nas/local/a", ("xfs", "/dev/sdb1")),
    ],
)
def test_a_device_number_leads_to_its_mount_and_one_that_no_mount_has_to_that_of_its_path(
    mountinfo: Path, minor: int, path: str, carrier: tuple[str, str]
) -> None:
    assert carrier_of(os.makedev(0, minor), path, mountinfo) == carrier


@pytest.mark.parametrize(
    ("path", "away"),
    [
        ("/srv/models", False),
        ("/mnt/usb drive/loras", True),
        ("/mnt/usb drives", False),
        ("/mnt/nas", True),
        ("/mnt/commented", False),
    ],
)
def test_drives_that_the_machine_starts_without_are_known(tmp_path: Path, path: str, away: bool) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "UUID=1 / ext4 errors=remount-ro 0 1\n"
        "/dev/sdb1 /mnt/usb\\040drive exfat nofail,uid=1000 0 2\n"
        "nas:/models /mnt/nas nfs ro,noauto\n"
        "  # /dev/sdc1 /mnt/commented ext4 nofail 0 2\n"
        "broken\n"
    )
    assert may_be_away(path, fstab) is away
    assert may_be_away(path, tmp_path / "none") is False
