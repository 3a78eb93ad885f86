"""A header that is made to take memory and time takes neither, and nobody waits because of it."""

import re
import time
from pathlib import Path

import pytest
from tests.daemon_process import DaemonProcess
from tests.waiting import DEADLINE_SECONDS

HEADER_BYTES = 100_000_000


def with_header(path: Path, beginning: bytes, repeated: bytes, end: bytes) -> Path:
    """Write a file that is nothing but the longest header that there may be; appears at once."""
    count = (HEADER_BYTES - len(beginning) - len(end)) // len(repeated)
    header = beginning + repeated * count + end
    written = path.with_suffix(".part")
    written.write_bytes(len(header).to_bytes(8, "little") + header)
    return written.rename(path)


def most_memory(pid: int) -> int:
    """Return the most memory (bytes) that a process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


@pytest.mark.parametrize(
    ("beginning", "repeated", "end"),
    [
        (b'{"a":[', b"[],", b"[]]}"),
        (b"{", b'"a":{"data_offsets":[0,0]},', b'"b":{"data_offsets":[0,0]}}'),
    ],
    ids=["lists", "tensors"],
)
def test_a_header_as_large_as_they_come_takes_little_memory_and_holds_nobody_up(
    models: Path, daemon: DaemonProcess, beginning: bytes, repeated: bytes, end: bytes
) -> None:
    before_bytes = most_memory(daemon.pid)
    path = with_header(models / "hostile.safetensors", beginning, repeated, end)
    slowest, is_known, start = 0.0, False, time.monotonic()
    while not is_known and time.monotonic() < start + DEADLINE_SECONDS:
        began = time.monotonic()
        daemon.request("GET", "/healthz")
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
        is_known = bool(daemon.rows("SELECT path FROM locations WHERE path = ?", str(path)))
    assert is_known, "it was not hashed"
    assert most_memory(daemon.pid) - before_bytes < 150_000_000
    assert slowest < (time.monotonic() - start) / 2, "an answer waits until the header is read"
