"""What a daemon says of its roots and the files in them, and what the kernel allows it to hear."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.daemon_process import DaemonProcess
from tests.waiting import wait_until


def roots_of(daemon: DaemonProcess) -> dict[Path, dict[str, Any]]:
    """Return what the daemon says of each root."""
    return {Path(root["path"]): root for root in daemon.status()["watch"]["roots"]}


def states_below(daemon: DaemonProcess, folder: Path) -> dict[str, str]:
    """Return the states of the locations below a folder, by base name."""
    rows = daemon.rows("SELECT path, state FROM locations")
    return {Path(row["path"]).name: row["state"] for row in rows if Path(row["path"]).is_relative_to(folder)}


def wait_states(daemon: DaemonProcess, folder: Path, **states: str) -> None:
    """Wait until the locations below a folder have these states, by name without ending, and there are no others."""
    wanted = {f"{name}.safetensors": state for name, state in states.items()}
    wait_until(lambda: states_below(daemon, folder) == wanted, what=f"{wanted} below {folder.name}")


def told_of(daemon: DaemonProcess, folder: Path) -> list[tuple[str, str]]:
    """Return event and base name of each record about a file below a folder."""
    records = [(record["event"], Path(record["path"])) for record in daemon.journal("file.*")]
    return [(event, path.name) for event, path in records if path.is_relative_to(folder)]


@contextmanager
def shortened_queue(number: int) -> Iterator[None]:
    """Have the kernel keep few events for those who begin to listen meanwhile."""
    setting = Path("/proc/sys/fs/inotify/max_queued_events")
    before = setting.read_text()
    try:
        setting.write_text(str(number))
    except OSError as error:
        pytest.skip(f"the kernel's queue cannot be shortened here: {error.strerror}")
    try:
        yield
    finally:
        setting.write_text(before)


def processor_seconds(pid: int) -> float:
    """Return how long a process has used processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
