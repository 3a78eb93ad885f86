"""Tags, and what carries them."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from modelkeep.catalogue.dialect import chunks, insert_missing
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.tables import model_tags, pending_model_tags, tags
from modelkeep.domain.tag_acts import CarriedTag
from modelkeep.domain.values import Tag
from modelkeep.errors import NotFound


def _tag(row: sa.Row[*tuple[Any, ...]]) -> Tag:
    return Tag(*row)


def create_tag(connection: sa.Connection, name: str, color: str = "", created_at: int = 0) -> Tag:
    """Make a tag, or return the one of that name; a colour is kept once it is set."""
    connection.execute(insert_missing(tags), {"name": name, "color": color, "created_at": created_at})
    connection.execute(sa.update(tags).where(tags.c.name == name, tags.c.color == "").values(color=color))
    tag = get_tag(connection, name)
    assert tag is not None  # noqa: S101 - it was inserted in this transaction
    return tag


def get_tag(connection: sa.Connection, name: str) -> Tag | None:
    """Return the tag of a name."""
    row = connection.execute(_SELECT.where(tags.c.name == name)).one_or_none()
    return _tag(row) if row else None


def list_tags(connection: sa.Connection) -> list[Tag]:
    """Return every tag by name."""
    return [_tag(row) for row in connection.execute(_SELECT.order_by(tags.c.name))]


def tags_by_id(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Tag]:
    """Return those of these tags that there are."""
    found: dict[int, Tag] = {}
    for some in chunks(sorted(set(ids))):
        found |= {row.id: _tag(row) for row in connection.execute(_SELECT.where(tags.c.id.in_(some)))}
    return found


def list_carried_tags(connection: sa.Connection) -> list[CarriedTag]:
    """Return every tag by name, with the numbers of models and of pending rows that carry it."""
    models, rows = (_counts_by_tag(connection, table.c.tag_id) for table in (model_tags, pending_model_tags))
    return [CarriedTag(tag, models.get(tag.id, 0), rows.get(tag.id, 0)) for tag in list_tags(connection)]


def put_tags(connection: sa.Connection, sha256: str, carried: Sequence[Tag]) -> None:
    """Have a model carry these tags and no others."""
    connection.execute(sa.delete(model_tags).where(model_tags.c.model_hash == sha256))
    for tag in carried:
        tag_model(connection, sha256, tag.id)


def tag_model(connection: sa.Connection, sha256: str, tag_id: int) -> None:
    """Put a tag on a model; it may carry it already."""
    try:
        connection.execute(insert_missing(model_tags), {"model_hash": sha256, "tag_id": tag_id})
    except sa.exc.IntegrityError as error:
        raise NotFound(f"there is no model {sha256[:12]} or no tag {tag_id}") from error


def tag_pending(connection: sa.Connection, pending_id: int, tag_ids: Iterable[int]) -> None:
    """Put tags on a pending row."""
    rows = [{"model_id": pending_id, "tag_id": tag_id} for tag_id in tag_ids]
    if rows:
        connection.execute(insert_missing(pending_model_tags), rows)


def tags_of_models(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, tuple[Tag, ...]]:
    """Return the tags of each of these models."""
    return _tags_by_owner(connection, model_tags.c.model_hash, model_tags.c.tag_id, hashes)


def tags_of_pending(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[Tag, ...]]:
    """Return the tags of each of these pending rows."""
    return _tags_by_owner(connection, pending_model_tags.c.model_id, pending_model_tags.c.tag_id, ids)


_COLUMNS = RowsOf(tags, Tag).columns
_SELECT = sa.select(*_COLUMNS)
Owner = TypeVar("Owner")


def _counts_by_tag(connection: sa.Connection, tag_id: sa.Column[int]) -> dict[int, int]:
    query = sa.select(tag_id, sa.func.count()).group_by(tag_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def _tags_by_owner(
    connection: sa.Connection, owner: sa.Column[Owner], tag_id: sa.Column[int], owners: Sequence[Owner]
) -> dict[Owner, tuple[Tag, ...]]:
    found: dict[Owner, list[Tag]] = {}
    for some in chunks(owners):
        query = (
            sa.select(owner, *_COLUMNS).join(tags, tags.c.id == tag_id).where(owner.in_(some)).order_by(tags.c.name)
        )
        for key, *tag in connection.execute(query):
            found.setdefault(key, []).append(Tag(*tag))
    return {key: tuple(values) for key, values in found.items()}
