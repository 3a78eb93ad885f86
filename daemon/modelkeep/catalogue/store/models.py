"""Models: what is known, keyed by content."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, holds, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.store.tags import tags_of_models
from modelkeep.catalogue.tables import images, locations, model_tags, models, tags
from modelkeep.domain.values import LocationState, Model

_ROWS = RowsOf(models, Model)
_SELECT = sa.select(*_ROWS.columns)
_UPSERT = Bulk(upsert(models))


def model_values(model: Model) -> dict[str, object]:
    """Return a model's columns; its tags are another table's."""
    return _ROWS.row(model)


def upsert_model(connection: sa.Connection, model: Model) -> None:
    """Insert a model, or write all its columns over those of the same content."""
    upsert_models(connection, [model])


def upsert_models(connection: sa.Connection, values: Sequence[Model]) -> None:
    """Insert models, or write all their columns over those of the same content."""
    _UPSERT.run_columns(connection, _ROWS.columns_of(values))


def get_model(connection: sa.Connection, sha256: str) -> Model | None:
    """Return the model of a content, with its tags."""
    return next(iter(_with_tags(connection, _SELECT.where(models.c.sha256 == sha256))), None)


def get_models(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, Model]:
    """Return the models of these contents that there are, with their tags."""
    query = _SELECT.where(among(models.c.sha256, hashes))
    return {model.sha256: model for model in _with_tags(connection, query)}


def list_models(
    connection: sa.Connection,
    *,
    type: str | None = None,  # noqa: A002 - the column's name
    q: str = "",
    tag: str = "",
    limit: int = 0,
    offset: int = 0,
) -> list[tuple[Model, int]]:
    """Return models by name, each with the number of its images.

    Args:
        connection: a connection in a transaction.
        type: only this type; None for all.
        q: only those whose name or path has this in it.
        tag: only those that carry the tag of this name.
        limit: at most so many; 0 for all.
        offset: leave out so many at the beginning.
    """
    query = _chosen(_SELECT, type, q, tag).limit(limit or None).offset(offset)
    return _with_images(connection, _with_tags(connection, query))


def list_hashes(
    connection: sa.Connection,
    *,
    type: str | None = None,  # noqa: A002 - the column's name
    q: str = "",
    tag: str = "",
) -> list[str]:
    """Return the hashes of all models that `list_models` returns, in the same order."""
    return list(connection.execute(_chosen(sa.select(models.c.sha256), type, q, tag)).scalars())


def _chosen(query: sa.Select[Any], type_: str | None, q: str, tag: str) -> sa.Select[Any]:
    query = query.order_by(models.c.name, models.c.sha256)
    if type_ is not None:
        query = query.where(models.c.type == type_)
    if q:
        query = query.where(sa.or_(holds(models.c.name, q), holds(models.c.path, q)))
    if tag:
        carrying = sa.select(model_tags.c.model_hash).join(tags, tags.c.id == model_tags.c.tag_id)
        query = query.where(models.c.sha256.in_(carrying.where(tags.c.name == tag)))
    return query


def list_with_images(connection: sa.Connection, hashes: Sequence[str]) -> list[tuple[Model, int]]:
    """Return the models of these contents that there are, each with the number of its images."""
    return _with_images(connection, list(get_models(connection, hashes).values()))


def select_models(
    connection: sa.Connection, condition: sa.ColumnElement[bool], limit: int | None = None
) -> list[Model]:
    """Return the models that fulfil a condition, with their tags, by name."""
    return _with_tags(connection, _SELECT.where(condition).order_by(models.c.name, models.c.sha256).limit(limit))


def list_types(connection: sa.Connection) -> list[str]:
    """Return every type in use."""
    query = sa.select(models.c.type).where(models.c.type != "").distinct().order_by(models.c.type)
    return list(connection.execute(query).scalars())


def choose_main_paths(connection: sa.Connection, hashes: Sequence[str]) -> None:
    """Set each model's path to its best present location: the present main path, else the one known longest.

    A model without a present location keeps the path at which it was last.
    """
    if hashes:
        lost = sa.and_(among(models.c.sha256, hashes), sa.not_(_IS_PRESENT), _PRESENT.exists())
        connection.execute(sa.update(models).where(lost).values(path=_LONGEST_KNOWN))


_PRESENT = sa.select(locations.c.path).where(
    locations.c.sha256 == models.c.sha256, locations.c.state == LocationState.PRESENT
)
_IS_PRESENT = _PRESENT.where(locations.c.path == models.c.path).exists()
_LONGEST_KNOWN = _PRESENT.order_by(locations.c.first_seen, locations.c.path).limit(1).scalar_subquery()


def _with_images(connection: sa.Connection, found: Sequence[Model]) -> list[tuple[Model, int]]:
    counts = _images_counts(connection, [model.sha256 for model in found])
    return [(model, counts.get(model.sha256, 0)) for model in found]


def _images_counts(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, int]:
    query = sa.select(images.c.sha256, sa.func.count()).group_by(images.c.sha256)
    found = connection.execute(query.where(among(images.c.sha256, hashes)))
    return {row[0]: row[1] for row in found}


def _with_tags(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> list[Model]:
    rows = _ROWS.select(connection, query)
    carried = tags_of_models(connection, rows["sha256"])
    return _ROWS.values({**rows, "tags": [carried.get(sha256, ()) for sha256 in rows["sha256"]]})
