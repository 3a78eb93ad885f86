"""Columns for what SQLite has no type for, and their values: as the daemon has them, and as SQLite holds them."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator

from modelkeep.catalogue.bare_sqlite import restored_path, storable_path
from modelkeep.domain.fingerprint import bounded_ns

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An id of 64 bits that the database gives: SQLite numbers only what is declared INTEGER, which has 64 bits there."""


def _stored(value: str | None) -> str | None:
    return value if value is None or value.isascii() else storable_path(value)


def _restored(value: str | None) -> str | None:
    return value if value is None or value.isascii() else restored_path(value)


class PathText(sa.Text):
    """A path, or text that may quote one, of whatever bytes."""

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002 - interface
        """Make it storable."""
        return _stored

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str | None], str | None]:  # noqa: ARG002
        """Give it back as it was."""
        return _restored


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit number (inodes, device numbers) in SQLite's signed one."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Wrap it into the signed range."""
        return value - (1 << 64) if value is not None and value >= 1 << 63 else value

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Give it back unsigned."""
        return value + (1 << 64) if value is not None and value < 0 else value


class Nanoseconds(TypeDecorator[int]):
    """A file's time in nanoseconds since 1970, in SQLite's signed 64 bits.

    They end in 2262, ext4's dates in 2446: what lies beyond is wrapped around to before any file system's past, as
    `domain.values.bounded_ns` does with dates beyond all bounds.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Wrap it into the signed range."""
        return None if value is None else signed(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Give it back as it was."""
        return None if value is None else bounded_ns(value)


def signed(number: int) -> int:
    """Return a number of 64 bits as SQLite holds it, whatever its sign is meant to be."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def restored(column: sa.Column[Any], held: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column as those of the daemon, from such as the database holds."""
    process = _from_database(column.type)
    if process is None or (process is _restored and are_ascii(held)):
        return held
    return list(map(process, held))


@cache
def _from_database(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any] | None:
    dialect = sqlite.dialect()
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def are_storable(kind: sa.types.TypeEngine[Any], values: Sequence[Any]) -> bool:
    """Return whether the driver takes the values of a column as they are: then none of them is looked at alone."""
    if isinstance(kind, PathText):
        return are_ascii(values)
    if isinstance(kind, sa.Boolean):
        return set(values) <= {False, True}
    if isinstance(kind, Unsigned64 | Nanoseconds):
        return None not in values and min(values) >= 0 and max(values) < 1 << 63
    return False


def are_ascii(texts: Sequence[str | None]) -> bool:
    """Return whether nothing need be done to the paths of a column."""
    try:
        return "".join(texts).isascii()  # type: ignore[arg-type]
    except TypeError:  # one is NULL
        return False
