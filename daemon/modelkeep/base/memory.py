"""Memory that nobody needs any more goes back to the system."""

import ctypes
import gc


def give_back_memory() -> None:
    """Collect garbage, and give back what the allocator keeps; takes some milliseconds, of which a thread may be."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it, and alone needs it
    if trim is not None:
        trim(0)
