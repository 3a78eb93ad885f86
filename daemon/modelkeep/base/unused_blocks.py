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
_LEFT_BYTES = 1 << 18
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
        self._held = _Runs()

    def hold(self) -> int:
        """Take what is unused, besides what is held already, and drop its pages; returns their size in bytes.

        Raises:
            OSError: it cannot be told what is mapped.
        """
        taken = _take_unused(_mapped())
        _free(taken.cut(_LEFT_BYTES))
        dropped = sum(end - start for start, end in whole_pages(taken))
        if len(self._held) or dropped >= _WORTH_BYTES:
            for start, end in whole_pages(taken):
                self._drop(start, end - start)
            self._held.extend(taken)
            return dropped
        _free(taken)
        return 0

    def let_go(self) -> None:
        """Have Python use again what is held."""
        held, self._held = self._held, _Runs()
        _free(held)


class _Runs:
    """Adjoining blocks: from which address to which, in so little memory that it fits beside them."""

    def __init__(self) -> None:
        self._starts, self._ends = array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def add(self, address: int) -> None:
        """Add a block, to the last run if it adjoins that."""
        if self._ends and self._ends[-1] == address:
            self._ends[-1] += _BLOCK_BYTES
        else:
            self._starts.append(address)
            self._ends.append(address + _BLOCK_BYTES)

    def extend(self, others: "_Runs") -> None:
        """Add other runs."""
        self._starts += others._starts
        self._ends += others._ends

    def cut(self, size_bytes: int) -> "_Runs":
        """Take the last runs out that have this size together, and return them."""
        cut = _Runs()
        while self._starts and size_bytes > 0:
            start, end = self._starts.pop(), self._ends.pop()
            cut._starts.append(start)
            cut._ends.append(end)
            size_bytes -= end - start
        return cut


def whole_pages(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield from where to where runs of blocks fill whole pages."""
    for start, end in runs:
        fills_pool = end - start == _POOL_BLOCKS * _BLOCK_BYTES and start % _POOL_BYTES == _POOL_HEAD_BYTES
        # Behind the last block of a pool there is no room for another one.
        filled = end + (_POOL_REST_BYTES if fills_pool else 0)
        pages = range(-(-start // PAGESIZE) * PAGESIZE, filled - PAGESIZE + 1, PAGESIZE)
        if pages:
            yield pages[0], pages[-1] + PAGESIZE


def _take_unused(mapped: Sequence[tuple[int, int]]) -> _Runs:
    """Return new blocks: as many as there is room for in what is mapped."""
    starts = [start for start, _ in mapped]
    taken = _Runs()
    for _ in range(_HELD_BYTES_MAX // _BLOCK_BYTES):
        address = _python.PyObject_Malloc(_BLOCK_BYTES)
        if not address:
            break
        if address >= mapped[bisect_right(starts, address) - 1][1]:  # the system was asked for more
            _python.PyObject_Free(address)
            break
        taken.add(address)
    return taken


def _free(runs: Iterable[tuple[int, int]]) -> None:
    free = _python.PyObject_Free
    for start, end in runs:
        for address in range(start, end, _BLOCK_BYTES):
            free(address)


def _mapped() -> list[tuple[int, int]]:
    """Return from where to where there is memory, in order, see proc_pid_maps(5)."""
    spans = (line.split(b" ", 1)[0].split(b"-") for line in _MAPS.read_bytes().splitlines())
    return [(0, 0), *((int(start, 16), int(end, 16)) for start, end in spans)]
