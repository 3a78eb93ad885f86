"""File systems made for a test: loop-mounted ext4 and XFS, and small ones in memory."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crash.power import cut_power
from tests.programs import without

IMAGE_BYTES = {"ext4": 64 << 20, "xfs": 300 << 20}
"""Sizes of the images, which are sparse; XFS takes no smaller one."""

_MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


@dataclass(frozen=True)
class LoopDisk:
    """An image of a file system and where it is mounted."""

    image: Path
    mount_point: Path

    def mount(self) -> None:
        """Mount it; after a power cut its own journal is played back then."""
        _run("mount", "-o", "loop", str(self.image), str(self.mount_point))

    def unmount(self) -> None:
        """Unmount it, at once if nobody uses it, else as soon as that is so."""
        if subprocess.run(["umount", str(self.mount_point)], capture_output=True).returncode:
            _run("umount", "--lazy", str(self.mount_point))

    def lose_power(self) -> None:
        """Cut its power."""
        cut_power(str(self.mount_point))

    def restart(self) -> None:
        """Mount it again after a power cut, when nobody uses it any more."""
        _run("umount", str(self.mount_point))
        self.mount()


@contextmanager
def loop_disk(kind: str, folder: Path) -> Iterator[LoopDisk]:
    """Make and mount a file system in an image; skips where that cannot be had."""
    if shutil.which(_MAKE[kind][0]) is None:
        pytest.skip(without(_MAKE[kind][0]))
    disk = LoopDisk(folder / f"{kind}.img", folder / kind)
    disk.mount_point.mkdir()
    with disk.image.open("wb") as image:
        image.truncate(IMAGE_BYTES[kind])
    try:
        _run(*_MAKE[kind], str(disk.image))
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a {kind} image cannot be mounted here: {error.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        disk.unmount()
        disk.image.unlink()


@contextmanager
def small_disk(mount_point: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a file system in memory that is soon full; skips where that may not be done."""
    mount_point.mkdir(exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "modelkeep-test", str(mount_point))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system needs the right to mount: {error}")
    try:
        yield mount_point
    finally:
        _run("umount", "--lazy", str(mount_point))


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Fill the file system of a folder up; returns the file that does it."""
    ballast = folder / "ballast"
    status = os.statvfs(folder)
    wanted = max(0, status.f_bavail * status.f_frsize - leave_bytes)
    with ballast.open("wb", buffering=0) as file:
        file.write(bytes(wanted))  # who lives there may write, too: unbuffered, it takes what room is left
    return ballast


def _run(*command: str | Sequence[str]) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
