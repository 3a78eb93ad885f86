"""Which processes belong together, and how much they read, from /proc."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HASH_WORKER, IMAGE_WORKER = b"hash_worker", b"base.worker"
"""What the command lines of worker processes contain."""


def members(group: int) -> list[int]:
    """Return the live processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended meanwhile
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(entry.name))
    return found


def characters_read(pid: int) -> int:
    """Return how many bytes a process has read so far (`rchar` of proc_pid_io(5)), 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/io").read_text().split()[1])
    except OSError:
        return 0


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that run still."""
    told = (path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children"))
    return [int(pid) for pids in told for pid in pids.split()]


def workers_among(pids: Iterable[int], *kinds: bytes) -> list[int]:
    """Return the worker processes of some kinds."""
    return [pid for pid in pids if any(kind in _command_line(pid) for kind in kinds)]


def readers_among(pids: Iterable[int], path: Path) -> list[int]:
    """Return the processes that have a file open."""
    return [pid for pid in pids if str(path) in open_files(pid)]


def open_files(pid: int) -> list[str]:
    """Return what a process has open, without what it closes while one looks."""
    found = []
    with suppress(OSError):  # the process ended meanwhile
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(str(link.readlink()))
    return found


def kernel_watches(pid: int) -> int:
    """Return how many folders the kernel watches for a process (proc_pid_fdinfo(5))."""
    told = 0
    for descriptor in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):  # closed meanwhile
            told += descriptor.read_text().count("inotify wd:")
    return told


def _command_line(pid: int) -> bytes:
    with suppress(OSError):  # ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
