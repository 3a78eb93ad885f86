"""Very many values in a file until they are read again: in memory each of a million would take hundreds of bytes."""

import os
import pickle
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from modelkeep.base.portions import in_portions

T = TypeVar("T")

_VALUES_AT_ONCE = 2000


class SetAside(Collection[T]):
    """Values that are read anew whenever they are gone through.

    Their file has no name, and is gone with the last who knows of them, or with this process.

    Args:
        folder: on whose disk they lie.
        values: gone through once.

    Raises:
        OSError: they cannot be written; so does `extend`.
    """

    def __init__(self, folder: Path, values: Iterable[T] = ()) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed when nobody knows of it
        weakref.finalize(self, self._file.close)
        self._sizes: list[int] = []
        self._count = 0
        self.extend(values)

    def extend(self, values: Iterable[T]) -> None:
        """Set more aside, behind those that are there."""
        for some in in_portions(values, _VALUES_AT_ONCE):
            data = memoryview(pickle.dumps(some, 5))
            self._sizes.append(len(data))
            while data:
                data = data[self._file.write(data) :]
            self._count += len(some)

    def __iter__(self) -> Iterator[T]:
        begin = 0
        for size in self._sizes:
            yield from pickle.loads(os.pread(self._file.fileno(), size, begin))  # noqa: S301 - this process wrote it
            begin += size

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)
