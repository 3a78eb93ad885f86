"""Carry out migrations: many in one transaction, written table by table.

All rows of a batch are read at once, decided one by one (`planning.decide`), and written at once; that is ten times
as fast as row after row. When the database refuses something, the batch is rolled back to its savepoint and carried
out again with a savepoint for each migration, so that the one to blame does not take the others with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter

import sqlalchemy as sa

from modelkeep.catalogue.dialect import insert_missing
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.contents import keep_contents
from modelkeep.catalogue.store.control import add_migrations, forget_migrations, migration_values
from modelkeep.catalogue.store.images import image_values, images_of_all, put_images, refuse_images
from modelkeep.catalogue.store.import_origin import FORGET_PENDING
from modelkeep.catalogue.store.locations import locations_at, locations_of_all, put_locations
from modelkeep.catalogue.store.models import choose_main_paths, get_models, upsert_models
from modelkeep.catalogue.store.pending import delete_pendings, get_pendings
from modelkeep.catalogue.store.statements import paths_with_statements
from modelkeep.catalogue.tables import model_tags, pending_import
from modelkeep.domain.conflicts import conflict_reason, replaced_reason
from modelkeep.domain.details import RefusedImage
from modelkeep.domain.images import image_name
from modelkeep.domain.migration import MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.planning import Decision, decide, lost_by_merge
from modelkeep.domain.values import (
    Action,
    ImageRow,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    TierFile,
)

BeforeCommit = Callable[[Sequence[MigrationResult]], None]

_STORES_IMAGE = frozenset({Action.CREATED, Action.MERGED, Action.OVERRIDDEN})

_TAG = Bulk(insert_missing(model_tags))
_PARK = (
    sa.update(pending_import)
    .where(pending_import.c.id == sa.bindparam("b_id"))
    .values(
        state=PendingState.CONFLICT,
        sha256=sa.bindparam("b_sha256", type_=sa.String),
        verified=True,
        last_error=sa.bindparam("b_reason", type_=pending_import.c.last_error.type),
    )
)


@dataclass(slots=True)
class _Known:
    """What the catalogue holds about a batch, read at once."""

    pending: dict[int, PendingImport]
    models: dict[str, Model]
    paths: dict[str, list[str]]
    images: dict[str, list[ImageRow]]
    at_path: dict[str, Location]
    claimed: set[str]
    """Paths of whose files something was said with a hash that they were not read for yet."""


@dataclass(slots=True)
class _Writes:
    """What a batch will write, table by table."""

    models: list[Model] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    images: list[dict[str, object]] = field(default_factory=list)
    refused: list[RefusedImage] = field(default_factory=list)
    tags: list[dict[str, object]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    dropped: list[dict[str, object]] = field(default_factory=list)
    parked: list[dict[str, object]] = field(default_factory=list)
    migrations: list[dict[str, object]] = field(default_factory=list)
    main_paths: set[str] = field(default_factory=set)
    """Contents whose main path has to be chosen anew."""


def preview(connection: sa.Connection, orders: Sequence[MigrationOrder]) -> dict[str, Decision]:
    """Return what migrations would do now, without their images, by their ids; nothing where the row is gone."""
    known = _read(connection, orders)
    rows = {order.migration: (order, known.pending.get(order.pending_id)) for order in orders}
    return {name: _decide(order, row, known) for name, (order, row) in rows.items() if row is not None}


def migrate(
    connection: sa.Connection,
    orders: Sequence[MigrationOrder],
    finished: Sequence[str],
    now_ms: int,
    before_commit: BeforeCommit,
) -> list[MigrationResult]:
    """Carry out orders, each of another content and of another row, and keep what else was read of their files.

    Args:
        connection: the writer's connection.
        orders: what is to be done.
        finished: ids of earlier migrations whose end is in the journal; dropped once `before_commit` made it durable.
        now_ms: time of the transaction.
        before_commit: gets all results before anything is visible to anybody, journals them durably; when it raises,
            nothing has happened.
    """
    read = [order.content for order in orders if order.content is not None]
    recognised = keep_contents(connection, sorted(read, key=attrgetter("sha256")))
    results = _try_together(connection, orders, now_ms)
    if results is None:
        results = [_try_alone(connection, order, now_ms) for order in orders]
    if recognised:
        results = [replace(result, is_recognised=result.order.sha256 in recognised) for result in results]
    before_commit(results)
    forget_migrations(connection, finished)
    return results


def _try_together(
    connection: sa.Connection, orders: Sequence[MigrationOrder], now_ms: int
) -> list[MigrationResult] | None:
    """Carry out orders behind one savepoint; None, and nothing done, when the database refuses one of them."""
    savepoint = connection.begin_nested()
    try:
        results = _migrate(connection, orders, now_ms)
    except sa.exc.IntegrityError:
        savepoint.rollback()
        return None
    savepoint.commit()
    return results


def _try_alone(connection: sa.Connection, order: MigrationOrder, now_ms: int) -> MigrationResult:
    savepoint = connection.begin_nested()
    try:
        result = _migrate(connection, [order], now_ms)[0]
    except sa.exc.IntegrityError as error:
        savepoint.rollback()
        return MigrationResult(order, Outcome.FAILED, error=f"the catalogue refused the row: {error.orig}")
    savepoint.commit()
    return result


def _migrate(connection: sa.Connection, orders: Sequence[MigrationOrder], now_ms: int) -> list[MigrationResult]:
    known = _read(connection, orders)
    writes = _Writes()
    results = [_migrate_one(order, known, writes, now_ms) for order in orders]
    _write(connection, writes, now_ms)
    return results


def _read(connection: sa.Connection, orders: Sequence[MigrationOrder]) -> _Known:
    pending = get_pendings(connection, [order.pending_id for order in orders])
    hashes = {*(order.sha256 for order in orders), *(row.sha256 for row in pending.values() if row.verified)}
    models = get_models(connection, sorted(hashes))
    at_path = locations_at(connection, [order.path for order in orders])
    existing = list(models)
    return _Known(
        pending,
        models,
        {
            sha256: [location.path for location in locations]
            for sha256, locations in locations_of_all(connection, existing).items()
        },
        images_of_all(connection, existing),
        at_path,
        paths_with_statements(connection, list(at_path))
        | {path for path, location in at_path.items() if location.claimed},
    )


def _decide(order: MigrationOrder, pending: PendingImport, known: _Known) -> Decision:
    size_bytes = order.fingerprint.size_bytes if order.fingerprint is not None else pending.size_bytes
    return decide(
        pending if pending.is_about(order.sha256) else _bare(order),
        order.sha256,
        size_bytes,
        known.models.get(order.sha256),
        known.paths.get(order.sha256, []),
        known.images.get(order.sha256, []),
        order.image.source_digest if order.image else None,
        order.strategy,
    )


def _migrate_one(order: MigrationOrder, known: _Known, writes: _Writes, now_ms: int) -> MigrationResult:
    """Decide about one row and note what has to be written."""
    pending = known.pending.get(order.pending_id)
    if pending is None:
        return MigrationResult(order, Outcome.GONE)
    obstacle = _obstacle(order, pending, known)
    if obstacle is not None:
        return MigrationResult(order, obstacle, pending)
    if not pending.is_about(order.sha256):
        return _migrate_other(order, pending, known, writes, now_ms)
    decision = _decide(order, pending, known)
    lacks_image = pending.image and order.image is None and not order.image_refused
    if decision.action in _STORES_IMAGE and lacks_image:
        return MigrationResult(order, Outcome.NEEDS_IMAGE, pending, decision)
    if decision.model is not None:
        writes.models.append(decision.model)
    displaced = _put_location(order, known, writes)
    if not decision.removes_pending:
        reason = conflict_reason(order.sha256, known.models.get(order.sha256), decision)
        writes.parked.append({"b_id": pending.id, "b_sha256": order.sha256, "b_reason": reason})
        return MigrationResult(order, Outcome.CONFLICTED, pending, decision, displaced=displaced)
    files = _put_images(order, pending, decision, writes)
    if decision.moves_tags and pending.tags:
        writes.tags += [{"model_hash": order.sha256, "tag_id": tag.id} for tag in pending.tags]
    _remove_row(pending.id, decision, writes)
    image = pending.image if not order.image_refused else ""
    writes.migrations.append(migration_values(order.migration, now_ms, files, image))
    return MigrationResult(order, Outcome.DONE, pending, decision, files, displaced)


def _obstacle(order: MigrationOrder, pending: PendingImport, known: _Known) -> Outcome | None:
    """Return why an order cannot be carried out as it stands: something changed since it was given."""
    if pending.path != order.path or order.original not in ("", pending.image):
        return Outcome.MOVED
    if order.fingerprint is None:
        is_decided = pending.verified and pending.sha256 == order.sha256 and pending.sha256 in known.models
        return None if is_decided else Outcome.MOVED
    if order.path in known.claimed:
        return Outcome.CLAIMED
    place = known.at_path.get(order.path)
    is_known = place is not None and place.sha256 == order.sha256 and place.tells_of(order.fingerprint)
    return Outcome.MOVED if order.is_believed and not is_known else None


def _remove_row(pending_id: int, decision: Decision, writes: _Writes) -> None:
    writes.gone.append(pending_id)
    if decision.action is Action.DELETED:
        writes.dropped.append({"b_id": pending_id})


def _migrate_other(
    order: MigrationOrder, pending: PendingImport, known: _Known, writes: _Writes, now_ms: int
) -> MigrationResult:
    """Migrate a file that took the place of the one that a row is about: as one of which nobody said anything.

    The row waits for the owner: what it says is about the content that its own file had.
    """
    decision = _decide(order, pending, known)
    if decision.model is not None:
        writes.models.append(decision.model.evolve(created_at=now_ms))
    displaced = _put_location(order, known, writes)
    existing = known.models.get(pending.sha256)
    lost = lost_by_merge(pending, existing, known.paths.get(pending.sha256, [])) if existing is not None else ()
    reason = replaced_reason(pending, existing, lost)
    writes.parked.append({"b_id": pending.id, "b_sha256": pending.sha256, "b_reason": reason})
    writes.migrations.append(migration_values(order.migration, now_ms, ()))
    own = replace(order, image_refused="")
    return MigrationResult(own, Outcome.DONE, _bare(order), decision, displaced=displaced)


def _bare(order: MigrationOrder) -> PendingImport:
    """Return a row that knows no more than where the file of an order lies."""
    return PendingImport(order.pending_id, order.path, name=suggested_name(order.path), type=order.suggested_type)


def _put_location(order: MigrationOrder, known: _Known, writes: _Writes) -> str:
    """The row's path becomes a location of the model in every case; returns what lay there before."""
    if order.fingerprint is None:  # it was one when the file was read
        return ""
    before = known.at_path.get(order.path)
    displaced = before.sha256 if before is not None and before.sha256 != order.sha256 else ""
    first_seen = before.first_seen if before is not None and not displaced else 0
    writes.locations.append(
        Location(order.path, order.sha256, LocationState.PRESENT, order.fingerprint, first_seen=first_seen)
    )
    if order.sha256 in known.models:
        writes.main_paths.add(order.sha256)
    if displaced:
        writes.main_paths.add(displaced)
    return displaced


def _put_images(
    order: MigrationOrder, pending: PendingImport, decision: Decision, writes: _Writes
) -> tuple[TierFile, ...]:
    if pending.image and order.image_refused and decision.action in _STORES_IMAGE:
        writes.refused.append(RefusedImage(pending.image, order.sha256, order.image_refused))
    if order.image is None or decision.image_seq is None:
        return ()
    writes.images.append(image_values(order.sha256, decision.image_seq, order.image))
    return tuple(
        TierFile(staged, image_name(order.sha256, decision.image_seq, quality))
        for quality, staged in order.image.staged.items()
    )


def _write(connection: sa.Connection, writes: _Writes, now_ms: int) -> None:
    # In the order of their contents: neighbours share a page, and each is written once.
    upsert_models(connection, sorted(writes.models, key=attrgetter("sha256")))
    put_locations(connection, sorted(writes.locations, key=attrgetter("sha256")), now_ms)
    put_images(connection, writes.images)
    refuse_images(connection, writes.refused, now_ms)
    _TAG.run(connection, sorted(writes.tags, key=itemgetter("model_hash")))
    for statement, rows in ((FORGET_PENDING, writes.dropped), (_PARK, writes.parked)):
        if rows:
            connection.execute(statement, rows)
    delete_pendings(connection, writes.gone)
    add_migrations(connection, writes.migrations)
    choose_main_paths(connection, sorted(writes.main_paths))
