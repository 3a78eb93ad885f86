"""Very many values in a file until they are read again: in memory each of a million would take hundreds of bytes."""

import pickle
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_VALUES_AT_ONCE = 2000


class SetAside(Collection[T]):
    """Values in a file, read anew whenever they are gone through.

    Args:
        path: of the file, which belongs to nobody else; whoever names it removes it.
        values: gone through once.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, values: Iterable[T]) -> None:
        self._path = path
        self._count = 0
        left = iter(values)
        with path.open("wb") as file:
            while some := list(islice(left, _VALUES_AT_ONCE)):
                pickle.dump(some, file, 5)
                self._count += len(some)

    def __iter__(self) -> Iterator[T]:
        read = 0
        with self._path.open("rb") as file:
            while read < self._count:
                some: list[T] = pickle.load(file)  # noqa: S301  # this process wrote it
                read += len(some)
                yield from some

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)
