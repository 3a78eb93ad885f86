"""What this machine is, and what processes and files take of it, as the kernel tells."""

import ctypes
import mmap
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.measuring import Run

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def facts() -> dict[str, object]:
    """Return what the figures depend on."""
    about = Path("/proc/cpuinfo").read_text()
    names = {line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name")}
    return {
        "cores": cores(),
        "processor": ", ".join(sorted(names)),
        "has_sha_ni": " sha_ni" in about,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def cores() -> int:
    """Return how many processors may be used."""
    return len(os.sched_getaffinity(0))


def command(words: Sequence[str], text: str = "") -> Run | None:
    """Return what runs a command to its end, with a text on its standard input; None: it is not installed."""
    if shutil.which(words[0]) is None:
        return None

    def run() -> float:
        began = time.perf_counter()
        subprocess.run(words, input=text.encode(), stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    return run


def read_all(files: Iterable[Path]) -> None:
    """Read files, so that their content is in the page cache."""
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # ended meanwhile
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that processes and their ended children took so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS_A_SECOND


def cached_bytes(path: Path) -> int:
    """Return how much of a file is in the page cache (mincore(2))."""
    size = path.stat().st_size
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as held,
    ):
        pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        address = ctypes.addressof(ctypes.c_char.from_buffer(held))
        if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) != 0:
            raise OSError(ctypes.get_errno(), "mincore", str(path))
        return (len(pages.raw) - pages.raw.count(0)) * mmap.PAGESIZE
