"""The library as somebody looks through it: models by words, tags and type, in an order, a page at a time."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import holds, through_index
from modelkeep.catalogue.store.models import list_with_images
from modelkeep.catalogue.store.paging import (
    REACH,
    READ_BY_NAME,
    Sorting,
    page_from_nearer_end,
    page_of_all,
    page_of_few,
    page_of_those,
    sorted_by,
)
from modelkeep.catalogue.store.tags import is_rare
from modelkeep.catalogue.tables import BROWSING, MODEL_TEXTS, model_tags, models, tags
from modelkeep.domain.browsing import Order, TypeCount, Wanted
from modelkeep.domain.values import Model

_SORTINGS = {
    Order.NAME: READ_BY_NAME,
    Order.NEWEST: sorted_by("created_at", is_descending=True),
    Order.OLDEST: sorted_by("created_at"),
    # An index of the sizes, which come in no order, would cost an import a twentieth.
    Order.LARGEST: Sorting(lambda table: table.c.size_bytes, BROWSING, is_descending=True),
    Order.SMALLEST: Sorting(lambda table: table.c.size_bytes, BROWSING),
}


def browse(
    connection: sa.Connection, wanted: Wanted, order: Order = Order.NAME, limit: int = 0, offset: int = 0
) -> list[tuple[Model, int]]:
    """Return a page of the models that are wanted, each with the number of its images; a limit of 0 means all."""
    return list_with_images(connection, browsed_hashes(connection, wanted, order, limit, offset))


def browsed_hashes(
    connection: sa.Connection, wanted: Wanted, order: Order = Order.NAME, limit: int = 0, offset: int = 0
) -> list[str]:
    """Return the hashes of the models that `browse` returns, in the same order."""
    sorting = _SORTINGS[order]
    is_narrow = sorting.index != BROWSING
    if wanted.type is None and not wanted.words and not wanted.tags:
        page_of = page_of_all if is_narrow else page_from_nearer_end
        return page_of(connection, sorting, limit, offset)
    of_all = _looked_up(sa.select(models.c.sha256), wanted)
    is_few = any(is_rare(connection, tag, REACH) for tag in wanted.tags)
    # The index in which words are looked for has the order of names already.
    if is_few or not (is_narrow or (sorting is READ_BY_NAME and not wanted.words)):
        return page_of_few(connection, sorting, of_all, limit, offset)
    of_each = sa.and_(*_conditions(wanted, _carries_itself))
    return page_of_those(connection, sorting, of_each, of_all, limit, offset)


def count_by_type(connection: sa.Connection, wanted: Wanted) -> list[TypeCount]:
    """Return how many of the models that are wanted are of each type, by its name."""
    counted = _looked_up(sa.select(models.c.type, sa.func.count()).group_by(models.c.type), wanted)
    return [TypeCount(row[0], row[1]) for row in connection.execute(counted.order_by(models.c.type))]


_Carries = Callable[[sa.ColumnElement[bool]], sa.ColumnElement[bool]]


def _looked_up(query: sa.Select[Any], wanted: Wanted) -> sa.Select[Any]:
    """Return a query of all models, of those that are wanted."""
    query = query.where(*_conditions(wanted, _is_among_carrying))
    # Words are looked for in the index, which is a fraction of the table; but few models carry a certain tag.
    return through_index(query, models, BROWSING) if wanted.words and not wanted.tags else query


def _conditions(wanted: Wanted, carries: _Carries) -> list[sa.ColumnElement[bool]]:
    conditions = [carries(tags.c.name == tag) for tag in wanted.tags]
    conditions += [sa.or_(holds(MODEL_TEXTS, word), carries(holds(tags.c.name, word))) for word in wanted.words]
    return conditions if wanted.type is None else [*conditions, models.c.type == wanted.type]


def _is_among_carrying(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return models.c.sha256.in_(sa.select(model_tags.c.model_hash).where(model_tags.c.tag_id.in_(_which(condition))))


def _carries_itself(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists().where(model_tags.c.model_hash == models.c.sha256, model_tags.c.tag_id.in_(_which(condition)))


def _which(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(tags.c.id).where(condition)
