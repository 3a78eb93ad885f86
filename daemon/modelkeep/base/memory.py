"""Memory that nobody needs any more goes back to the system."""

import ctypes
import gc
import re
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

from modelkeep.base.unused_blocks import UnusedBlocks

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of malloc.h, see mallopt(3)."""

_MADV_DONTNEED = 4
"""Of sys/mman.h, see madvise(2)."""

_LARGE_BYTES = 1 << 18
_TRIM_BYTES = 1 << 23

_SMAPS = Path("/proc/self/smaps")
_MAPPING = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-([x-])p \S+ \S+ [1-9]\d* +(/.*)$((?:\n[A-Z]\w+: .*)+)", re.MULTILINE
)

_UNWRITTEN = [re.compile(rf"^{name}: +0 kB$", re.MULTILINE) for name in ("Anonymous", "Swap")]
"""What is in no file: neither in memory, nor swapped out."""

_C = ctypes.CDLL(None)
_C.madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_programs: list[tuple[int, int]] = []


def keep_heap_small() -> None:
    """Have the heap keep few holes; it has to be called before any other thread begins."""
    if not hasattr(_C, "malloc_trim"):  # it is not glibc
        return
    # glibc would give each thread a heap of its own, and keep the holes of all.
    _C.mallopt(_M_ARENA_MAX, 1)
    # What is large goes back as soon as it is let go: glibc would put such pieces into the heap once one was freed.
    _C.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    _C.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def leave_out(*packages: str) -> None:
    """Have libraries not find packages that they load in case somebody uses them; what is loaded already stays."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None: it cannot be imported
    for package in packages:
        modules.setdefault(package, None)


def leave_empty(*modules: str) -> None:
    """Have modules not load that others of their library take names from and do not use: each name is None."""
    for module in modules:
        empty = ModuleType(module)
        empty.__dict__["__getattr__"] = lambda _: None
        sys.modules.setdefault(module, empty)


def load_unready(package: str) -> None:
    """Load a library whose models are made ready when they are used, if ever, and not at once."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        import_module(package)
    finally:
        del BaseModel.model_config["defer_build"]


def note_programs() -> None:
    """Remember where the program and its libraries lie, for as long as it runs; call it before other threads begin.

    What another thread loads just then may still be written to.
    """
    with suppress(OSError):
        _programs[:] = unwritten_programs(_SMAPS.read_text(encoding="utf-8", errors="surrogateescape"))


def unwritten_programs(smaps: str) -> list[tuple[int, int]]:
    """Return where what is run and read of programs lies, as the files have it: address and size in bytes.

    Args:
        smaps: what the kernel tells of the mappings of a process, see proc_pid_smaps(5).
    """
    mappings = _MAPPING.findall(smaps)
    programs = {path for _, _, mode, path, _ in mappings if mode == "x"}
    return [
        (int(start, 16), int(end, 16) - int(start, 16))
        for start, end, _, path, facts in mappings
        if path in programs and all(pattern.search(facts) for pattern in _UNWRITTEN)
    ]


def give_back_memory() -> None:
    """Collect garbage, and give back what the allocator keeps, and pages of programs; takes some milliseconds."""
    gc.collect()
    for address, size_bytes in _programs:  # most of what a start needs is not needed again; the rest comes back
        _drop(address, size_bytes)
    with suppress(OSError):
        _unused.hold()
    if hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)


def take_memory_back() -> None:
    """Have Python use again what it has room for: there is work."""
    _unused.let_go()


def _drop(address: int, size_bytes: int) -> None:
    _C.madvise(address, size_bytes, _MADV_DONTNEED)


_unused = UnusedBlocks(_drop)
