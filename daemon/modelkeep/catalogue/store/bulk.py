"""Many rows with one statement, near to the driver: its text is made once, and values are made storable by column."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import restored_path
from modelkeep.catalogue.columns import PathText, are_ascii, are_storable

_ROWS_AT_ONCE = 2000

ROWS_IN_INSERT = 128
"""Rows that one INSERT takes.

The driver gives up the interpreter for each row of an executemany, and may wait milliseconds until it has it back:
when other threads are busy, that takes far longer than few statements of many rows.
"""


class Bulk:
    """A statement that is carried out for many rows: compiled with the first of them, and never again.

    Args:
        statement: inserts or changes one row; its parameters have the names of the rows' keys.
    """

    def __init__(self, statement: sa.Insert | sa.Update) -> None:
        self._statement = statement
        self._prepared: dict[tuple[str, ...], _Prepared] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry it out for rows that all have the same keys."""
        if rows:
            self.run_columns(connection, {key: [row[key] for row in rows] for key in rows[0]})

    def run_columns(self, connection: sa.Connection, columns: Mapping[str, Sequence[Any]]) -> None:
        """Carry it out for rows that are handed over column by column."""
        keys = tuple(columns)
        if not any(map(len, columns.values())):
            return
        prepared = self._prepared.get(keys)
        if prepared is None:
            prepared = self._prepared[keys] = _prepare(self._statement, keys, connection.dialect)
        rows = list(zip(*prepared.storable(columns), strict=True))
        most = ROWS_IN_INSERT if prepared.is_insert else _ROWS_AT_ONCE
        for start in range(0, len(rows), most):
            connection.exec_driver_sql(*prepared.execution(rows[start : start + most]))


class Query:
    """A query that is made ready once, as SQLAlchemy's own are, and whose rows come as `all_rows` yields them.

    Args:
        query: its parameters that differ from time to time have names.
    """

    def __init__(self, query: sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]) -> None:
        self._query = query
        self._compiled: Any = None

    def rows(self, connection: sa.Connection, **parameters: Any) -> Iterator[tuple[Any, ...]]:
        """Yield what it selects with these parameters."""
        if self._compiled is None:
            self._compiled = self._query.compile(dialect=connection.dialect)
        values = [
            _storable(bound, parameters.get(name, bound.value), connection.dialect)
            for name, bound in ((name, self._compiled.binds[name]) for name in self._compiled.positiontup)
        ]
        return _fetched(connection.exec_driver_sql(str(self._compiled), tuple(values)), self._query)


def all_rows(
    connection: sa.Connection, query: sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """Yield what a query selects, of whose columns none but paths need anything done to them."""
    return Query(query).rows(connection)


def _fetched(
    result: sa.CursorResult[Any], query: sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    paths = [index for index, column in enumerate(query.selected_columns) if isinstance(column.type, PathText)]
    while some := result.fetchmany(_ROWS_AT_ONCE):
        columns: list[Sequence[Any]] = list(zip(*some, strict=True))
        for index in paths:
            if not are_ascii(columns[index]):
                columns[index] = [restored_path(text) for text in columns[index]]
        yield from zip(*columns, strict=True)


def _storable(bound: Any, value: Any, dialect: sa.Dialect) -> Any:
    process = bound.type.dialect_impl(dialect).bind_processor(dialect)
    return process(value) if process else value


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement's text, the names of its parameters, and what makes the values of a column storable."""

    text: tuple[str, str, str]
    """An INSERT is divided: what comes before its row, the row, what comes after. Any other is the first of these."""
    names: tuple[str, ...]
    processors: tuple[tuple[int, Callable[[Any], Any], sa.types.TypeEngine[Any]], ...]

    @property
    def is_insert(self) -> bool:
        """Whether one statement takes many rows."""
        return bool(self.text[1])

    def execution(self, rows: Sequence[tuple[Any, ...]]) -> tuple[str, Any]:
        """Return the text and the parameters for rows of storable values."""
        before, row, after = self.text
        if not self.is_insert:
            return before, rows
        return before + ",".join([row] * len(rows)) + after, tuple(chain.from_iterable(rows))

    def storable(self, columns: Mapping[str, Sequence[Any]]) -> list[Sequence[Any]]:
        """Return columns in the order of the parameters, as the driver takes them."""
        ordered = [columns[name] for name in self.names]
        for index, process, kind in self.processors:
            if not are_storable(kind, ordered[index]):
                ordered[index] = [process(value) for value in ordered[index]]
        return ordered


def _prepare(statement: sa.Insert | sa.Update, keys: tuple[str, ...], dialect: sa.Dialect) -> _Prepared:
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(keys))
    names = tuple(compiled.positiontup)
    types = [compiled.binds[name].type for name in names]
    processors = [
        (index, process, type_)
        for index, type_ in enumerate(types)
        if (process := type_.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    is_insert = isinstance(statement, sa.Insert)
    text = str(compiled).partition(f"({', '.join('?' * len(names))})") if is_insert else (str(compiled), "", "")
    return _Prepared(text, names, tuple(processors))
