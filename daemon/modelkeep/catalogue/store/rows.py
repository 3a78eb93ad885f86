"""Values as rows: the columns of a value are those that are named like its fields."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from modelkeep.domain.json_text import json_text

V = TypeVar("V")

_JSON = {"meta": "meta_json", "header": "header_json"}
"""Fields that are objects, and the columns that hold their text."""

_Read = Callable[[Any], object]


class RowsOf(Generic[V]):
    """The rows of a table that hold values of a kind; what such a value holds besides is another table's.

    Args:
        table: where the rows stand.
        kind: a dataclass.
    """

    def __init__(self, table: sa.Table, kind: type[V]) -> None:
        self._kind = kind
        held = [field for field in fields(kind) if _JSON.get(field.name, field.name) in table.c]  # type: ignore[arg-type]
        self._fields = [field.name for field in held]
        self.columns: tuple[sa.Column[Any], ...] = tuple(table.c[_JSON.get(name, name)] for name in self._fields)
        """In the order of the fields."""
        self._names = [column.name for column in self.columns]
        self._values_of = attrgetter(*self._fields)
        self._json = [_JSON[name] for name in self._fields if name in _JSON]
        readings = [(field.name, _reading(field.name, field.type)) for field in held]
        self._readings = [(name, read) for name, read in readings if read is not None]

    def row(self, value: V) -> dict[str, Any]:
        """Return the columns of a value."""
        row = dict(zip(self._names, self._values_of(value), strict=True))
        for column in self._json:
            row[column] = json_text(row[column])
        return row

    def value(self, row: Sequence[Any], **others: Any) -> V:
        """Return the value that a row of `columns` holds; `others` are the fields that another table knows."""
        known = dict(zip(self._fields, row, strict=True))
        for name, read in self._readings:
            known[name] = read(known[name])
        return self._kind(**known, **others)


def _reading(name: str, kind: object) -> _Read | None:
    """Return what makes a field of what its column holds; None: it is held as it is."""
    if name in _JSON:
        return json.loads
    return kind if isinstance(kind, type) and issubclass(kind, StrEnum) else None
