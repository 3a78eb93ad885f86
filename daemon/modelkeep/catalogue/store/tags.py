"""Tags, and what carries them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing
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


def tags_by_id(connection: sa.Connection, ids: Collection[int]) -> dict[int, Tag]:
    """Return those of these tags that there are, by name."""
    chosen = _SELECT.where(among(tags.c.id, set(ids))).order_by(tags.c.name)
    return {row.id: _tag(row) for row in connection.execute(chosen).all()} if ids else {}


def list_carried_tags(connection: sa.Connection) -> list[CarriedTag]:
    """Return every tag by name, with the numbers of models and of pending rows that carry it."""
    models, rows = (_counts_by_tag(connection, table.c.tag_id) for table in (model_tags, pending_model_tags))
    return [CarriedTag(tag, models.get(tag.id, 0), rows.get(tag.id, 0)) for tag in list_tags(connection)]


def is_rare(connection: sa.Connection, name: str, most: int) -> bool:
    """Return whether no more than so many models carry the tag of a name; counts no further."""
    carrying = sa.select(model_tags.c.tag_id).join(tags, tags.c.id == model_tags.c.tag_id).where(tags.c.name == name)
    return connection.execute(carrying.limit(1).offset(most)).first() is None


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
    # One row for each owner, and one for each tag: most tags are carried by many.
    query = sa.select(owner, sa.func.aggregate_strings(tag_id, ",")).where(among(owner, owners)).group_by(owner)
    rows = connection.execute(query).all() if owners else ()
    carried = {key: [int(tag) for tag in joined.split(",")] for key, joined in rows}
    known = tags_by_id(connection, {tag for ids in carried.values() for tag in ids})
    place = {tag: number for number, tag in enumerate(known)}
    return {key: tuple(known[tag] for tag in sorted(ids, key=place.__getitem__)) for key, ids in carried.items()}
