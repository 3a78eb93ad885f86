"""Memory that nobody needs any more goes back to the system."""

import ctypes
import gc

_M_ARENA_MAX = -8
"""Of malloc.h, see mallopt(3)."""

_C = ctypes.CDLL(None)


def share_one_heap() -> None:
    """Have all threads that begin from now on share one heap: glibc would give each its own, and keep their holes."""
    if hasattr(_C, "malloc_trim"):  # it is glibc
        _C.mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Collect garbage, and give back what the allocator keeps; takes some milliseconds."""
    gc.collect()
    if hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)
