"""What files lie on, and how many readers at once suit it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep.disk.mounts import carrier_of, is_network_kind

_SYSFS = Path("/sys")

_VIRTUAL_DISKS = ("vd", "xvd", "nbd", "loop", "zram")
"""Disks of a hypervisor or of nothing that turns: they say that they rotate because nobody told them otherwise."""


@dataclass(frozen=True, slots=True)
class Medium:
    """How many batches of files are read from a device at once, and whether two files of one batch may be."""

    readers: int
    one_by_one: bool


FAST = Medium(1 << 10, one_by_one=False)
ROTATING = Medium(1, one_by_one=True)
NETWORK = Medium(4, one_by_one=True)


_known: dict[int, Medium] = {}


def medium_of(device: int, folder: str) -> Medium:
    """Return how to read from a device; asks the kernel only, once for each, and never the device.

    Args:
        device: its number, as stat(2) tells it.
        folder: of a file on it, links or none; used where the number says nothing (the subvolumes of btrfs).
    """
    if device not in _known:
        _known[device] = _ask(device, folder)
    return _known[device]


def _ask(device: int, folder: str) -> Medium:
    if is_rotating(device):
        return ROTATING
    if os.major(device):
        return FAST
    kind, source = carrier_of(device, folder)
    if is_network_kind(kind):
        return NETWORK
    return ROTATING if source.startswith("/dev/") and is_rotating(_number_of(source)) else FAST


def is_rotating(device: int, sysfs: Path = _SYSFS) -> bool:
    """Return whether a device number is that of a rotating disk (Documentation/ABI/stable/sysfs-block)."""
    folder = (sysfs / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    return any(_rotates(disk) for disk in _disks_below(folder))


def _disks_below(folder: Path) -> Iterator[Path]:
    """Return the disks that a block device consists of: those of dm and md, the one of a partition, or itself."""
    disk = folder if (folder / "queue").is_dir() else folder.parent  # a partition's queue is its disk's
    parts = list((disk / "slaves").glob("*"))
    for part in parts:
        yield from _disks_below(part.resolve())
    if not parts:
        yield disk


def _rotates(disk: Path) -> bool:
    try:
        flag = (disk / "queue" / "rotational").read_text().strip()
    except OSError:
        return False
    return flag == "1" and not disk.name.startswith(_VIRTUAL_DISKS)


def _number_of(path: str) -> int:
    """Return the device number of a device file, 0 when there is none."""
    try:
        return os.stat(path).st_rdev
    except OSError:
        return 0
