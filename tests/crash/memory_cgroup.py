"""A memory cgroup: whatever process is put into it and asks for more is killed by the kernel."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[Path]:
    """Make a cgroup with a limit; yields the file that takes ids of processes. Skips where that may not be done."""
    is_v1 = (_ROOT / "memory").is_dir()
    folder = (_ROOT / "memory" if is_v1 else _ROOT) / f"modelkeep-test-{os.getpid()}"
    limits = {"memory.limit_in_bytes": limit_bytes, "memory.swappiness": 0} if is_v1 else {"memory.max": limit_bytes}
    try:
        folder.mkdir()
        for name, value in limits.items():
            (folder / name).write_text(str(value))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no memory cgroup can be made here: {error}")
    try:
        yield folder / "cgroup.procs"
    finally:
        folder.rmdir()


def oom_kills(processes: Path) -> int:
    """Return how many processes of a cgroup the kernel has killed."""
    for name in ("memory.oom_control", "memory.events"):
        path = processes.with_name(name)
        if path.exists():
            counts = dict(line.split() for line in path.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0
