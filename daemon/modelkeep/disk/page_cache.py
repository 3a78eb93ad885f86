"""What of a file the kernel holds in memory, and giving back what it holds only because we have read it."""

import ctypes
import mmap
import os

_PROT_READ, _MAP_SHARED = 1, 1
_FAILED: int = ctypes.c_void_p(-1).value or -1

_libc = ctypes.CDLL(None)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
_libc.munmap.argtypes = _libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


def cached_windows(descriptor: int, offset: int, length: int, window_bytes: int) -> bytes:
    """Return for each window of a part of a file whether it is in memory, by its last page.

    It is 1 also where nobody can tell: mincore(2) answers for the owner of a file and for whoever may write it, and
    says "in memory" to everybody else.

    Args:
        descriptor: of the file.
        offset: where the part begins, a multiple of the page size.
        length: of the part.
        window_bytes: a multiple of the page size.
    """
    windows = -(-length // window_bytes)
    address: int = _libc.mmap(None, length, _PROT_READ, _MAP_SHARED, descriptor, offset) if length else _FAILED
    if address == _FAILED:
        return b"\1" * windows
    try:
        ends = (min(number * window_bytes, length) for number in range(1, windows + 1))
        return bytes(_is_cached(address, (end - 1) // mmap.PAGESIZE * mmap.PAGESIZE) for end in ends)
    finally:
        _libc.munmap(address, length)


def is_told(descriptor: int) -> bool:
    """Return whether the kernel tells what of a file is in memory: to who may only read it, it says that all is."""
    is_ours = os.fstat(descriptor).st_uid == os.geteuid()
    return is_ours or os.access(f"/proc/self/fd/{descriptor}", os.W_OK)


def _is_cached(address: int, offset: int) -> int:
    answer = ctypes.c_ubyte(1)
    _libc.mincore(address + offset, mmap.PAGESIZE, ctypes.byref(answer))
    return answer.value & 1


def give_back(descriptor: int, offset: int, length: int) -> None:
    """Let the kernel forget a part of a file; what somebody maps or has just written stays."""
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
