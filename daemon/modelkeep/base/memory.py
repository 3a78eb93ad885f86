"""Memory that nobody needs any more goes back to the system."""

import ctypes
import gc
import sys
from types import ModuleType

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of malloc.h, see mallopt(3)."""

_LARGE_BYTES = 1 << 18
_TRIM_BYTES = 1 << 23

_C = ctypes.CDLL(None)


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


def give_back_memory() -> None:
    """Collect garbage, and give back what the allocator keeps; takes some milliseconds."""
    gc.collect()
    if hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)
