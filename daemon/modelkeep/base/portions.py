"""Many values, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_portions(values: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield values in lists of so many: whoever gets one lets go of it before the next one is made."""
    left = iter(values)
    while some := list(islice(left, most)):
        yield some
