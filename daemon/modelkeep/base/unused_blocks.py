"""Give back what lies unused between Python's objects.

Python has memory from the system in arenas of a mebibyte, and gives one back when nothing at all is left in it: after
much work a daemon keeps a dozen of them for a few objects each. Whoever takes what is unused there owns it, and may
have the system drop its pages until Python needs it again. This needs nothing but Python's own functions for memory,
see https://docs.python.org/3/c-api/memory.html; where they work otherwise, little or nothing is found to be dropped.
"""

import ctypes
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from mmap import PAGESIZE
from pathlib import Path

_BLOCK_BYTES = 512
"""The largest that lies in arenas: whoever takes such blocks takes whatever is wholly unused."""

_POOL_BYTES, _POOL_HEAD_BYTES = 1 << 14, 48
_POOL_BLOCKS, _POOL_REST_BYTES = divmod(_POOL_BYTES - _POOL_HEAD_BYTES, _BLOCK_BYTES)
"""An arena is divided into pools of blocks of one size, see Objects/obmalloc.c."""

_HELD_BYTES_MAX = 1 << 28
_LEFT_BLOCKS = (1 << 18) // _BLOCK_BYTES
"""For the next requests of an idle daemon: Python would ask the system for a new arena."""

_WORTH_BYTES = 1 << 22
"""Less is left to Python: what is held is out of its reach when work begins."""

_MAPS = Path("/proc/self/maps")

_python = ctypes.pythonapi
_python.PyObject_Malloc.argtypes, _python.PyObject_Malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
_python.PyObject_Free.argtypes, _python.PyObject_Free.restype = [ctypes.c_void_p], None


class UnusedBlocks:
    """Blocks that nobody uses, and of which the system has most pages back.

    Args:
        drop: has the system drop pages: address and size in bytes.
    """

    def __init__(self, drop: Callable[[int, int], object]) -> None:
        self._drop = drop
        self._held = array("Q")

    def hold(self) -> int:
        """Take what is unused, besides what is held already, and drop its pages; returns their size in bytes.

        Raises:
            OSError: it cannot be told what is mapped.
        """
        taken = _take_unused(_mapped())
        _free(taken[-_LEFT_BLOCKS:])
        del taken[-_LEFT_BLOCKS:]
        pages = list(whole_pages(sorted(taken)))
        dropped = sum(end - start for start, end in pages)
        if not self._held and dropped < _WORTH_BYTES:
            _free(taken)
            return 0
        for start, end in pages:
            self._drop(start, end - start)
        self._held += taken
        return dropped

    def let_go(self) -> None:
        """Have Python use again what is held."""
        held, self._held = self._held, array("Q")
        _free(held)


def whole_pages(addresses: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield from where to where adjoining blocks fill whole pages.

    Args:
        addresses: of blocks, in order.
    """
    first = 0
    for following, address in enumerate(addresses, 1):
        if following == len(addresses) or addresses[following] != address + _BLOCK_BYTES:
            fills_pool = following - first == _POOL_BLOCKS and addresses[first] % _POOL_BYTES == _POOL_HEAD_BYTES
            # Behind the last block of a pool there is no room for another one.
            end = address + _BLOCK_BYTES + (_POOL_REST_BYTES if fills_pool else 0)
            pages = range(-(-addresses[first] // PAGESIZE) * PAGESIZE, end - PAGESIZE + 1, PAGESIZE)
            if pages:
                yield pages[0], pages[-1] + PAGESIZE
            first = following


def _take_unused(mapped: Sequence[tuple[int, int]]) -> "array[int]":
    """Return the addresses of new blocks: as many as there is room for in what is mapped."""
    starts = [start for start, _ in mapped]
    taken = array("Q")
    allocate, most = _python.PyObject_Malloc, _HELD_BYTES_MAX // _BLOCK_BYTES
    while len(taken) < most and (address := allocate(_BLOCK_BYTES)):
        if address >= mapped[bisect_right(starts, address) - 1][1]:  # the system was asked for more
            _python.PyObject_Free(address)
            break
        taken.append(address)
    return taken


def _free(addresses: Iterable[int]) -> None:
    free = _python.PyObject_Free
    for address in addresses:
        free(address)


def _mapped() -> list[tuple[int, int]]:
    """Return from where to where there is memory, in order, see proc_pid_maps(5)."""
    spans = (line.split(b" ", 1)[0].split(b"-") for line in _MAPS.read_bytes().splitlines())
    return [(0, 0), *((int(start, 16), int(end, 16)) for start, end in spans)]
