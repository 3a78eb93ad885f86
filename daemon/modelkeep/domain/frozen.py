"""Values that nobody changes, as mypy sees to: dozens are made for each file.

A dataclass that refuses by itself to be changed takes six times as long to be made.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a dataclass with slots that is compared and hashed by its fields; nothing may assign to one."""
    return dataclass(slots=True, unsafe_hash=True)(kind)
