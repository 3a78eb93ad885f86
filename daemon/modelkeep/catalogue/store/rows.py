"""Values as rows: the columns of a value are those that are named like its fields."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from modelkeep.catalogue.columns import restored
from modelkeep.catalogue.dialect import raw_rows
from modelkeep.domain.json_text import json_text

V = TypeVar("V")

_JSON = {"meta": "meta_json", "header": "header_json"}
"""Fields that are objects, and the columns that hold their text."""

_Read = Callable[[Any], object]


class RowsOf(Generic[V]):
    """The rows of a table that hold values of a kind; what such a value holds besides is another table's.

    Args:
        table: where the rows stand.
        kind: a dataclass, or a named tuple.
    """

    def __init__(self, table: sa.Table, kind: type[V]) -> None:
        self._kind = kind
        held = {name: hint for name, hint in _fields_of(kind) if _JSON.get(name, name) in table.c}
        self._fields = tuple(held)
        self.columns: tuple[sa.Column[Any], ...] = tuple(table.c[_JSON.get(name, name)] for name in self._fields)
        """In the order of the fields."""
        self._names = [column.name for column in self.columns]
        self._values_of = attrgetter(*self._fields)
        self._nothing = (None,) * len(held)
        self._json = [_JSON[name] for name in self._fields if name in _JSON]
        self._readings = {name: read for name, hint in held.items() if (read := _reading(name, hint)) is not None}

    def row(self, value: V) -> dict[str, Any]:
        """Return the columns of a value."""
        row = dict(zip(self._names, self._values_of(value), strict=True))
        for column in self._json:
            row[column] = json_text(row[column]) if row[column] else "{}"
        return row

    def columns_of(self, values: Iterable[V | None]) -> dict[str, Sequence[Any]]:
        """Return values column by column; None is NULL in all of them."""
        rows = [self._nothing if value is None else self._values_of(value) for value in values]
        columns: dict[str, Sequence[Any]] = dict(zip(self._names, zip(*rows, strict=True), strict=False))
        for name in self._json if rows else ():
            columns[name] = [json_text(value) if value else "{}" for value in columns[name]]
        return columns

    def select(self, connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> dict[str, Sequence[Any]]:
        """Return what a query of `columns` finds, as the values of each field."""
        found = [row for rows in raw_rows(connection, query) for row in rows]
        held: list[Sequence[Any]] = list(zip(*found, strict=True)) if found else [() for _ in self._fields]
        chosen = dict(zip(self._fields, map(restored, self.columns, held), strict=True))
        for name, read in self._readings.items():
            chosen[name] = list(map(read, chosen[name]))
        return chosen

    def values(self, held: Mapping[str, Sequence[Any]]) -> list[V]:
        """Return the values that have these values of each field."""
        names = tuple(held)
        return [self._kind(**dict(zip(names, row, strict=True))) for row in zip(*held.values(), strict=True)]


def _fields_of(kind: type) -> list[tuple[str, object]]:
    """Return the names and types of a kind's fields."""
    if is_dataclass(kind):
        return [(field.name, field.type) for field in fields(kind)]
    return list(kind.__annotations__.items())


def _reading(name: str, kind: object) -> _Read | None:
    """Return what makes a field of what its column holds; None: it is held as it is."""
    if name in _JSON:
        return _object
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {member.value: member for member in kind}.__getitem__
    return None


def _object(text: str) -> object:
    return json.loads(text) if text != "{}" else {}
