"""Carry out what the owner does by hand: one act in one transaction, decided inside it."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.store.contents import forget_content
from modelkeep.catalogue.store.control import add_migrations, forget_migrations, migration_values
from modelkeep.catalogue.store.details import model_details
from modelkeep.catalogue.store.images import put_image_rows
from modelkeep.catalogue.store.import_origin import forget_model
from modelkeep.catalogue.store.inheritance import given, hand_over
from modelkeep.catalogue.store.knowing import note_edit
from modelkeep.catalogue.store.models import upsert_model
from modelkeep.catalogue.store.records import forget_records_of
from modelkeep.catalogue.store.tags import put_tags, tags_by_id
from modelkeep.catalogue.tables import images, models, pending_import
from modelkeep.domain.acts import ActKind, ActOrder, ActPlan, plan_act
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.inheriting import plan_inheritance
from modelkeep.domain.values import PendingState
from modelkeep.errors import NotFound

BeforeCommit = Callable[[ActPlan], None]


def act(
    connection: sa.Connection, order: ActOrder, finished: Sequence[str], now_ms: int, before_commit: BeforeCommit
) -> ActPlan:
    """Carry out an act.

    Args:
        connection: the writer's connection.
        order: what is to be done.
        finished: ids of earlier migrations whose end is in the journal; dropped once `before_commit` made it durable.
        now_ms: time of the transaction.
        before_commit: gets the plan before anything is visible to anybody, stages and journals it durably; when it
            raises, nothing has happened. It is not called for an act that changes nothing.

    Raises:
        NotFound: there is no such model, no such image of it, or no such tag.
        ModelkeepError: whatever `plan_act` refuses.
    """
    known = model_details(connection, order.sha256)
    if known is None:
        raise NotFound(f"there is no model {order.sha256}")
    plan = _plan(connection, order, known)
    if not plan.changes:
        return plan
    if order.kind is ActKind.PURGED:
        _purge(connection, order.sha256, now_ms)
    elif plan.edited is not None:
        upsert_model(connection, plan.edited)
        put_tags(connection, order.sha256, plan.edited.tags)
        note_edit(connection, known.model, plan.edited)
    if order.kind is ActKind.INHERITED:
        hand_over(connection, order.sha256, order.origin, now_ms)
    if order.kind in (ActKind.IMAGE_REMOVED, ActKind.IMAGE_UPLOADED, ActKind.INHERITED):
        _write_images(connection, plan)
    values = migration_values(order.migration, now_ms, plan.files, removed=plan.removed, originals=plan.originals)
    add_migrations(connection, [values])
    before_commit(plan)
    forget_migrations(connection, finished)
    return plan


def _plan(connection: sa.Connection, order: ActOrder, known: ModelDetails) -> ActPlan:
    if order.kind is not ActKind.INHERITED:
        named = (order.edit.tags if order.edit else None) or ()
        return plan_act(order, known, tags_by_id(connection, named))
    origin = model_details(connection, order.origin)
    if origin is None:
        raise NotFound(f"there is no model {order.origin}")
    return plan_inheritance(order, known, origin, given(connection, order.sha256, order.origin))


def _write_images(connection: sa.Connection, plan: ActPlan) -> None:
    # Deleted and written anew: one statement that moves them all down may meet a number that is still taken.
    connection.execute(sa.delete(images).where(images.c.sha256 == plan.order.sha256))
    put_image_rows(connection, plan.images)


def _purge(connection: sa.Connection, sha256: str, now_ms: int) -> None:
    """Delete a model with all that belongs to it; its tags, locations and images go by cascade."""
    forget_model(connection, sha256)
    forget_content(connection, sha256)
    forget_records_of(connection, sha256)
    connection.execute(sa.delete(models).where(models.c.sha256 == sha256))
    # A row that was in conflict with it has nothing to be in conflict with any more.
    freed = (pending_import.c.sha256 == sha256) & (pending_import.c.state == PendingState.CONFLICT)
    waiting = {"state": PendingState.WAITING, "due_at": now_ms, "attempts": 0, "last_error": ""}
    connection.execute(sa.update(pending_import).where(freed).values(waiting))
