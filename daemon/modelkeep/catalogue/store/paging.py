"""Pages of models in an order: of a large library no more is read than leads to them.

An index of what they are ordered by is several times smaller than the table, so where a page begins is looked for in
it alone. What many models are is found among the first of them; only what few are is looked for in all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import through_index
from modelkeep.catalogue.tables import BROWSING, models

REACH = 1_000
"""So many models are looked through in the order that is asked for, before all are in whichever way is fastest."""


@dataclass(frozen=True, slots=True)
class Sorting:
    """How models follow each other: by a key, those that have the same one by their hash.

    Args:
        key: returns the key of the models of a table.
        index: name of the index that begins with it, or else has it beside the hash.
        is_descending: the greatest key comes first.
    """

    key: Callable[[sa.FromClause], sa.ColumnElement[Any]]
    index: str
    is_descending: bool = False

    def order(self) -> tuple[sa.ColumnElement[Any], ...]:
        """Return what models are ordered by."""
        return self.directed(models), models.c.sha256

    def directed(self, table: sa.FromClause) -> sa.ColumnElement[Any]:
        """Return the key as a table is ordered by it."""
        return self.key(table).desc() if self.is_descending else self.key(table)

    def is_before(self, table: sa.FromClause, key: sa.ScalarSelect[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a model of a table comes before all that have a key."""
        return self.key(table) > key if self.is_descending else self.key(table) < key

    def is_from(self, table: sa.FromClause, key: sa.ScalarSelect[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a model of a table has a key, or comes after those that have it."""
        return self.key(table) <= key if self.is_descending else self.key(table) >= key


def sorted_by(column: str, *, is_descending: bool = False) -> Sorting:
    """Return the sorting by a column that has an index for itself."""
    return Sorting(lambda table: table.c[column], f"ix_models_{column}", is_descending)


BY_NAME = sorted_by("name")
"""As SQLite compares texts: byte by byte."""

READ_BY_NAME = Sorting(lambda table: sa.collate(table.c.name, "NOCASE"), BROWSING)
"""Whatever the case of letters of ASCII."""


def page_of_all(connection: sa.Connection, sorting: Sorting, limit: int, offset: int) -> list[str]:
    """Return the hashes of some of all models; a limit of 0 means all that follow the offset."""
    first, others = _key_at(sorting, offset), models.alias("earlier")
    earlier = sa.select(sa.func.count()).select_from(others).where(sorting.is_before(others, first))
    page = _in_order(sorting).where(sorting.is_from(models, first)).limit(limit or None)
    return list(connection.execute(page.offset(offset - earlier.scalar_subquery())).scalars())


def page_from_nearer_end(connection: sa.Connection, sorting: Sorting, limit: int, offset: int) -> list[str]:
    """Return the hashes of some of all models, where the index is as wide as their texts; 0 as of `page_of_all`."""
    number = connection.execute(sa.select(sa.func.count()).select_from(models)).scalar_one()
    taken = min(limit, number - offset)
    if taken <= 0 or offset <= number // 2:
        return page_in_order(connection, sorting, sa.true(), limit, offset)
    opposite = replace(sorting, is_descending=not sorting.is_descending).directed(models), models.c.sha256.desc()
    from_end = through_index(sa.select(models.c.sha256).order_by(*opposite), models, sorting.index)
    page = from_end.limit(taken).offset(number - offset - taken)
    return list(connection.execute(page).scalars())[::-1]


def page_in_order(
    connection: sa.Connection, sorting: Sorting, condition: sa.ColumnElement[bool], limit: int, offset: int
) -> list[str]:
    """Return the hashes of some of the models that fulfil a condition; one after the other is asked about."""
    page = _in_order(sorting).where(condition).limit(limit or None).offset(offset)
    return list(connection.execute(page).scalars())


def page_of_those(
    connection: sa.Connection,
    sorting: Sorting,
    of_each: sa.ColumnElement[bool],
    of_all: sa.Select[Any],
    limit: int,
    offset: int = 0,
) -> list[str]:
    """Return the hashes of some of the models that fulfil a condition; a limit of 0 means all after the offset.

    Args:
        connection: a connection in a transaction.
        sorting: how they follow each other.
        of_each: the condition, in a form that is answered for one model after the other.
        of_all: selects the hashes of those that fulfil it, in a form that is answered for all together; unordered.
        limit: at most so many.
        offset: leave out so many at the beginning.
    """
    if limit and offset + limit <= REACH:
        is_near = sorting.is_before(models, _key_at(sorting, REACH))
        found = page_in_order(connection, sorting, sa.and_(is_near, of_each), limit, offset)
        if len(found) == limit:
            return found
    return page_of_few(connection, sorting, of_all, limit, offset)


def page_of_few(
    connection: sa.Connection, sorting: Sorting, of_all: sa.Select[Any], limit: int, offset: int
) -> list[str]:
    """Return the hashes of some of those that a query selects, which are all found and sorted."""
    page = of_all.order_by(*sorting.order()).limit(limit or None).offset(offset)
    return list(connection.execute(page).scalars())


def _in_order(sorting: Sorting) -> sa.Select[Any]:
    return through_index(sa.select(models.c.sha256).order_by(*sorting.order()), models, sorting.index)


def _key_at(sorting: Sorting, offset: int) -> sa.ScalarSelect[Any]:
    """Return the key of the model at an offset; NULL, which nothing compares with, behind the last one."""
    sought = models.alias("sought")
    query = sa.select(sorting.key(sought)).order_by(sorting.directed(sought)).limit(1).offset(offset)
    return query.scalar_subquery()
