"""The library as somebody looks through it: models by words, tags and type, in an order, a page at a time."""

from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import holds, through_index
from modelkeep.catalogue.store.models import list_with_images
from modelkeep.catalogue.tables import BROWSING, MODEL_TEXTS, model_tags, models, tags
from modelkeep.domain.browsing import Order, TypeCount, Wanted
from modelkeep.domain.values import Model

_ORDERS: dict[Order, tuple[sa.ColumnElement[Any], ...]] = {
    Order.NAME: (sa.collate(models.c.name, "NOCASE"), models.c.sha256),
    Order.NEWEST: (models.c.created_at.desc(), models.c.sha256),
    Order.OLDEST: (models.c.created_at, models.c.sha256),
    Order.LARGEST: (models.c.size_bytes.desc(), models.c.sha256),
    Order.SMALLEST: (models.c.size_bytes, models.c.sha256),
}


def browse(
    connection: sa.Connection, wanted: Wanted, order: Order = Order.NAME, limit: int = 0, offset: int = 0
) -> list[tuple[Model, int]]:
    """Return a page of the models that are wanted, each with the number of its images; a limit of 0 means all."""
    hashes = browsed_hashes(connection, wanted, order, limit, offset)
    found = {model.sha256: (model, images) for model, images in list_with_images(connection, hashes)}
    return [found[sha256] for sha256 in hashes]


def browsed_hashes(
    connection: sa.Connection, wanted: Wanted, order: Order = Order.NAME, limit: int = 0, offset: int = 0
) -> list[str]:
    """Return the hashes of the models that `browse` returns, in the same order."""
    chosen = sa.select(models.c.sha256).where(*_conditions(wanted)).order_by(*_ORDERS[order])
    return list(connection.execute(_looked_up(chosen.limit(limit or None).offset(offset), wanted)).scalars())


def count_by_type(connection: sa.Connection, wanted: Wanted) -> list[TypeCount]:
    """Return how many of the models that are wanted are of each type, by its name."""
    counted = sa.select(models.c.type, sa.func.count()).where(*_conditions(wanted)).group_by(models.c.type)
    rows = connection.execute(_looked_up(counted, wanted).order_by(models.c.type))
    return [TypeCount(row[0], row[1]) for row in rows]


def _looked_up(query: sa.Select[Any], wanted: Wanted) -> sa.Select[Any]:
    # Words are looked for in the index, which is a fraction of the table; but few models carry a certain tag.
    return through_index(query, models, BROWSING) if wanted.words and not wanted.tags else query


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    conditions = [_carries(tags.c.name == tag) for tag in wanted.tags]
    conditions += [sa.or_(holds(MODEL_TEXTS, word), _carries(holds(tags.c.name, word))) for word in wanted.words]
    return conditions if wanted.type is None else [*conditions, models.c.type == wanted.type]


def _carries(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    carried = sa.select(tags.c.id).where(condition)
    return models.c.sha256.in_(sa.select(model_tags.c.model_hash).where(model_tags.c.tag_id.in_(carried)))
