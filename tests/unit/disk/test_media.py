"""How many readers suit what a file lies on, by what the kernel says of it."""

import os
from pathlib import Path

import pytest

from modelkeep.disk.media import FAST, is_rotating, medium_of


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """Two disks with a partition each, of which the first rotates, and volumes over one and over both."""
    (tmp_path / "dev" / "block").mkdir(parents=True)
    disks = [("8:0", "sda", 1), ("8:16", "sdb", 0), ("254:0", "vda", 1)]
    volumes = [("253:0", "dm-0", ["sda1"]), ("253:1", "dm-1", ["sdb1"]), ("9:0", "md0", ["dm-1", "sda1"])]
    for number, name, rotates in disks:
        add(tmp_path, number, name, rotates)
        major, minor = map(int, number.split(":"))
        partition = tmp_path / "devices" / name / f"{name}1"
        partition.mkdir()
        (tmp_path / "dev" / "block" / f"{major}:{minor + 1}").symlink_to(partition)
    for number, name, parts in volumes:
        folder = add(tmp_path, number, name, 1)  # whatever a volume says: its disks know
        (folder / "slaves").mkdir()
        for part in parts:
            (below,) = (path for path in (tmp_path / "devices").rglob(part) if not path.is_symlink())
            (folder / "slaves" / part).symlink_to(below)
    return tmp_path


def add(sysfs: Path, number: str, name: str, rotates: int) -> Path:
    folder = sysfs / "devices" / name
    (folder / "queue").mkdir(parents=True)
    (folder / "queue" / "rotational").write_text(f"{rotates}\n")
    (sysfs / "dev" / "block" / number).symlink_to(folder)
    return folder


@pytest.mark.parametrize(
    ("device", "rotates"),
    [
        ((8, 0), True),
        ((8, 1), True),
        ((8, 16), False),
        ((8, 17), False),
        ((253, 0), True),
        ((253, 1), False),
        ((9, 0), True),
        ((254, 0), False),
        ((254, 1), False),
        ((7, 7), False),
        ((0, 0), False),
    ],
)
def test_a_disk_its_partitions_and_the_volumes_over_it_rotate(
    sysfs: Path, device: tuple[int, int], rotates: bool
) -> None:
    assert is_rotating(os.makedev(*device), sysfs) is rotates


def test_what_lies_in_memory_is_fast(tmp_path: Path) -> None:
    assert medium_of(os.stat("/dev/shm").st_dev, "/dev/shm") == FAST  # noqa: PTH116 - the device's number is wanted
    assert medium_of(2**40, str(tmp_path)) == FAST
