"""Models: what is known, keyed by content."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, holds, row_number, through_index, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.paging import (
    BY_NAME,
    REACH,
    page_in_order,
    page_of_all,
    page_of_few,
    page_of_those,
)
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.store.tags import is_rare, tags_of_models
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


def known_hashes(connection: sa.Connection, hashes: Sequence[str]) -> set[str]:
    """Return those of these contents that are models."""
    return set(connection.execute(sa.select(models.c.sha256).where(among(models.c.sha256, hashes))).scalars())


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
    hashes = list_hashes(connection, type=type, q=q, tag=tag, limit=limit, offset=offset)
    return list_with_images(connection, hashes)


def list_hashes(
    connection: sa.Connection,
    *,
    type: str | None = None,  # noqa: A002 - the column's name
    q: str = "",
    tag: str = "",
    limit: int = 0,
    offset: int = 0,
) -> list[str]:
    """Return the hashes of the models that `list_models` returns, in the same order."""
    of_each = [models.c.type == type] if type is not None else []
    of_all = list(of_each)
    if tag:
        carrying = sa.select(model_tags.c.model_hash).join(tags, tags.c.id == model_tags.c.tag_id)
        carrying = carrying.where(tags.c.name == tag)
        of_each.append(carrying.where(model_tags.c.model_hash == models.c.sha256).exists())
        of_all.append(models.c.sha256.in_(carrying))
    if q:
        return page_in_order(connection, BY_NAME, sa.and_(_is_called(q), *of_all), limit, offset)
    if not of_all:
        return page_of_all(connection, BY_NAME, limit, offset)
    chosen = sa.select(models.c.sha256).where(*of_all)
    if tag and is_rare(connection, tag, REACH):
        return page_of_few(connection, BY_NAME, chosen, limit, offset)
    return page_of_those(connection, BY_NAME, sa.and_(*of_each), chosen, limit, offset)


def _is_called(text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a model's name or path has a text in it; asked in the order of the names."""
    # Two indexes answer it, which are a fraction of the table: no row is read but those that are found.
    by_path = models.alias("by_path")
    paths = sa.select(row_number(by_path)).select_from(by_path).where(holds(by_path.c.path, text))
    return sa.or_(holds(models.c.name, text), row_number(models).in_(through_index(paths, by_path, "ix_models_path")))


def list_with_images(connection: sa.Connection, hashes: Sequence[str]) -> list[tuple[Model, int]]:
    """Return the models of these contents that there are, in this order, each with the number of its images."""
    known, counts = get_models(connection, hashes), _images_counts(connection, hashes)
    return [(known[sha256], counts.get(sha256, 0)) for sha256 in hashes if sha256 in known]


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


def _images_counts(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, int]:
    query = sa.select(images.c.sha256, sa.func.count()).group_by(images.c.sha256)
    found = connection.execute(query.where(among(images.c.sha256, hashes)))
    return {row[0]: row[1] for row in found}


def _with_tags(connection: sa.Connection, query: sa.Select[*tuple[Any, ...]]) -> list[Model]:
    rows = _ROWS.select(connection, query)
    carried = tags_of_models(connection, rows["sha256"])
    return _ROWS.values({**rows, "tags": [carried.get(sha256, ()) for sha256 in rows["sha256"]]})
