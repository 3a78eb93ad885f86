"""Values as rows: the columns of a value are those that are named like its fields."""

import json
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from modelkeep.domain.json_text import json_text

V = TypeVar("V")

_JSON = {"meta": "meta_json"}
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
        self._fields: list[tuple[str, str, _Read | None]] = [
            (field.name, _JSON.get(field.name, field.name), _reading(field.name, field.type))
            for field in fields(kind)  # type: ignore[arg-type]
            if _JSON.get(field.name, field.name) in table.c
        ]
        self.columns: tuple[sa.Column[Any], ...] = tuple(table.c[column] for _, column, _ in self._fields)
        """In the order of the fields."""
        self._names = [column.name for column in self.columns]
        self._values_of = attrgetter(*(name for name, _, _ in self._fields))
        self._json = [column for name, column, _ in self._fields if name in _JSON]

    def row(self, value: V) -> dict[str, Any]:
        """Return the columns of a value."""
        row = dict(zip(self._names, self._values_of(value), strict=True))
        for column in self._json:
            row[column] = json_text(row[column])
        return row

    def value(self, row: sa.RowMapping, **others: Any) -> V:
        """Return the value that a row holds; `others` are the fields that another table knows."""
        known = {name: read(row[column]) if read else row[column] for name, column, read in self._fields}
        return self._kind(**known, **others)


def _reading(name: str, kind: object) -> _Read | None:
    """Return what makes a field of what its column holds; None: it is held as it is."""
    if name in _JSON:
        return json.loads
    return kind if isinstance(kind, type) and issubclass(kind, StrEnum) else None
