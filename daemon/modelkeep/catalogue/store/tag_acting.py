"""Carry out what the owner does to tags by hand: one act in one transaction, decided inside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from modelkeep.catalogue.store.control import add_migrations, forget_migrations, migration_values
from modelkeep.catalogue.store.tags import create_tag, get_tag, tags_by_id
from modelkeep.catalogue.tables import model_tags, tags
from modelkeep.domain.tag_acts import TagActKind, TagOrder, TagPlan
from modelkeep.domain.values import Tag
from modelkeep.errors import Conflict, NotFound


def act_on_tags(
    connection: sa.Connection,
    order: TagOrder,
    finished: Sequence[str],
    now_ms: int,
    before_commit: Callable[[TagPlan], None],
) -> TagPlan:
    """Carry out an act.

    Args:
        connection: the writer's connection.
        order: what is to be done.
        finished: ids of earlier migrations whose end is in the journal; dropped once `before_commit` made it durable.
        now_ms: time of the transaction.
        before_commit: gets the plan before anything is visible to anybody, and journals it durably; when it raises,
            nothing has happened. It is not called for an act that changes nothing.

    Raises:
        NotFound: there is no such tag.
        Conflict: another tag has the name.
    """
    plan = _ACTS[order.kind](connection, order, now_ms)
    if not plan.changes:
        return plan
    add_migrations(connection, [migration_values(order.migration, now_ms, ())])
    before_commit(plan)
    forget_migrations(connection, finished)
    return plan


def _add(connection: sa.Connection, order: TagOrder, now_ms: int) -> TagPlan:
    known = {name: get_tag(connection, name) for name in order.names}
    made = tuple(name for name, tag in known.items() if tag is None)
    tags = tuple(tag or create_tag(connection, name, created_at=now_ms) for name, tag in known.items())
    return TagPlan(order, tags, made, changes=bool(made))


def _change(connection: sa.Connection, order: TagOrder, _: int) -> TagPlan:
    known = _known(connection, order.tag_id)
    name = known.name if order.name is None else order.name
    other = get_tag(connection, name)
    if other is not None and other.id != known.id:
        raise Conflict(f"there is a tag of that name already, number {other.id}")
    after = replace(known, name=name, color=known.color if order.color is None else order.color)
    values = {"name": after.name, "color": after.color}
    connection.execute(sa.update(tags).where(tags.c.id == known.id).values(values))
    return TagPlan(order, (after,), (after.name,), known, changes=after != known)


def _remove(connection: sa.Connection, order: TagOrder, _: int) -> TagPlan:
    known = _known(connection, order.tag_id)
    carrying = sa.select(sa.func.count()).select_from(model_tags).where(model_tags.c.tag_id == known.id)
    models = connection.execute(carrying).scalar_one()
    connection.execute(sa.delete(tags).where(tags.c.id == known.id))  # what carries it loses it by cascade
    return TagPlan(order, (known,), (known.name,), models=models)


def _known(connection: sa.Connection, tag_id: int) -> Tag:
    known = tags_by_id(connection, [tag_id]).get(tag_id)
    if known is None:
        raise NotFound(f"there is no tag {tag_id}")
    return known


_ACTS: Mapping[TagActKind, Callable[[sa.Connection, TagOrder, int], TagPlan]] = {
    TagActKind.ADDED: _add,
    TagActKind.CHANGED: _change,
    TagActKind.REMOVED: _remove,
}
