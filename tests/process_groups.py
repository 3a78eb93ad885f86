"""Which processes belong together, and how much they read, from /proc."""

from pathlib import Path


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
