"""Mounts that a test makes, and that are gone when it ends."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Mounts:
    """Mounts and unmounts; what is left is unmounted in the end."""

    def __init__(self) -> None:
        self._points: list[Path] = []

    def memory(self, point: Path) -> None:
        """Mount a small file system in memory."""
        self._mount(point, "-t", "tmpfs", "-o", "size=16m", "modelkeep-test")

    def bind(self, folder: Path, point: Path) -> None:
        """Let a folder be seen at another place too."""
        self._mount(point, "--bind", str(folder))

    def read_only(self, folder: Path) -> None:
        """Let nothing be written to a folder, not even by root."""
        self.bind(folder, folder)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True, capture_output=True)

    def unmount(self, point: Path) -> None:
        """Unmount what was mounted last at a place, whoever uses it."""
        subprocess.run(["umount", "--lazy", str(point)], check=True)
        self._points.reverse()
        self._points.remove(point)
        self._points.reverse()

    def unmount_all(self) -> None:
        """Unmount what is left."""
        while self._points:
            self.unmount(self._points[-1])

    def _mount(self, point: Path, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(point)], check=True, capture_output=True)
        self._points.append(point)


@contextmanager
def mounting(folder: Path) -> Iterator[Mounts]:
    """Have mounts; skips where that is not allowed."""
    mounts, probe = Mounts(), folder / "mount point"
    probe.mkdir(parents=True)
    try:
        mounts.memory(probe)
        mounts.unmount(probe)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("it takes the right to mount" if os.geteuid() else "nothing can be mounted here")
    try:
        yield mounts
    finally:
        mounts.unmount_all()
