"""Stage 1 for the rows that meet something known, or that an earlier run took otherwise: one by one, with care."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from modelkeep.catalogue.store.control import add_migrations, migration_values
from modelkeep.catalogue.store.images import images_of, put_image
from modelkeep.catalogue.store.import_run import (
    Earlier,
    ImportRun,
    claimed_location,
    model_of,
    pending_of,
    queue_all,
    statement_of,
    waiting_row,
    with_image,
)
from modelkeep.catalogue.store.locations import location_of, locations_of, put_location
from modelkeep.catalogue.store.models import choose_main_paths, get_model, upsert_model
from modelkeep.catalogue.store.pending import (
    delete_pending,
    get_pending,
    get_pending_by_path,
    update_pending,
)
from modelkeep.catalogue.store.statements import keep_statements, statements_at
from modelkeep.catalogue.store.tags import tag_model, tag_pending
from modelkeep.catalogue.tables import (
    imported_rows,
    locations,
    models,
)
from modelkeep.domain.claims import Statement
from modelkeep.domain.legacy import StagedRow, TakenRow, Taking
from modelkeep.domain.planning import Decision, decide, join
from modelkeep.domain.values import (
    Action,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    Strategy,
)


def take_with_care(run: ImportRun, staged: StagedRow) -> TakenRow:
    """Take a row that was taken before and changed, or that meets something known."""
    before = run.earlier.get(staged.row.key)
    if before is not None:
        taken = _take_again(run, staged, before)
        if taken is not None:
            return taken
    if staged.row.claim:
        return _take_claimed(run, staged)
    return _queue(run, staged)


def _take_again(run: ImportRun, staged: StagedRow, before: Earlier) -> TakenRow | None:
    """Take a row that an earlier run took under another path (`--map`) or with other contents."""
    row = staged.row
    pending = get_pending(run.connection, before.pending_id) if before.pending_id else None
    if pending is not None and pending.path != before.path:
        return _tell_anew(run, staged, before, pending)
    if pending is not None:
        other = get_pending_by_path(run.connection, row.path)
        if other is not None and other.id != pending.id:
            if not other.knows_nothing:
                return TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)
            delete_pending(run.connection, other.id)  # detection found the file first, and knows only its path
        fresh = _still_about(pending, pending_of(run, staged, pending.id, pending.image))
        if _is_shared(run, row.key, pending.id):
            return _update_shared(run, staged, pending)
        # An image that was taken already stays unless the row itself changed.
        image = fresh.image if before.digest != row.digest else pending.image
        update_pending(run.connection, fresh.evolve(image=image or pending.image))
        tag_pending(run.connection, pending.id, run.tags_of(row) if before.digest != row.digest else [])
        taken = waiting_row(staged, Taking.UPDATED, fresh, image=before.digest != row.digest)
        return replace(taken, replaced_image=pending.image) if taken.pending_image else taken
    if before.digest != row.digest:
        return None
    followed = _follow_claim(run, staged, before) if before.sha256 else None
    return followed or TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)


def _tell_anew(run: ImportRun, staged: StagedRow, before: Earlier, pending: PendingImport) -> TakenRow | None:
    """Take a row whose file was found elsewhere since, or lies where the owner says: no `--map` knows better."""
    row = staged.row
    if before.digest == row.digest:
        return TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)
    there = replace(staged, row=replace(row, path=pending.path))
    if _is_shared(run, row.key, pending.id):
        return _update_shared(run, there, pending)
    fresh = _still_about(pending, pending_of(run, there, pending.id, pending.image))
    # Whether the file is there the daemon finds out: here only the path in the source was looked at.
    fresh = fresh.evolve(image=fresh.image or pending.image, state=PendingState.WAITING, last_error="")
    update_pending(run.connection, fresh)
    tag_pending(run.connection, pending.id, run.tags_of(row))
    taken = waiting_row(staged, Taking.UPDATED, fresh)
    return replace(taken, replaced_image=pending.image) if taken.pending_image else taken


def _still_about(held: PendingImport, fresh: PendingImport) -> PendingImport:
    """Return what is said anew; it is about the content that the file at this path was read to have."""
    is_same = held.verified and held.path == fresh.path
    return fresh.evolve(sha256=held.sha256, verified=True) if is_same else fresh


def _is_shared(run: ImportRun, key: str, pending_id: int) -> bool:
    """Return whether another row, of this source or another, is described by the same row of the queue."""
    this = sa.and_(
        imported_rows.c.kind == run.kind, imported_rows.c.source == run.source, imported_rows.c.row_key == key
    )
    others = sa.select(sa.literal(1)).where(imported_rows.c.pending_id == pending_id, sa.not_(this)).limit(1)
    return run.connection.execute(others).first() is not None


def _update_shared(run: ImportRun, staged: StagedRow, pending: PendingImport) -> TakenRow | None:
    """Take a row whose row of the queue is not its own; None when it belongs to another path now."""
    if staged.row.path != pending.path:
        return None
    fresh = join(run.kind, pending, pending_of(run, staged, pending.id))
    update_pending(run.connection, fresh)
    tag_pending(run.connection, pending.id, run.tags_of(staged.row))
    return waiting_row(staged, Taking.UPDATED, fresh, image=not pending.image)


def _follow_claim(run: ImportRun, staged: StagedRow, before: Earlier) -> TakenRow | None:
    """Move a claim that waits to be confirmed to the path that another `--map` gives; None when it stays."""
    location = location_of(run.connection, before.path)
    is_lost = location is not None and (location.state is not LocationState.PRESENT or staged.on_disk is not None)
    if location is None or not location.claimed or not is_lost:
        return None
    said = statements_at(run.connection, before.path)
    run.connection.execute(sa.delete(locations).where(locations.c.path == before.path))
    there = location_of(run.connection, staged.row.path)
    if there is not None and _is_refuted(there, before.sha256):
        return _queue_for_file(run, staged, there)
    _claim(run, staged, there, said)
    _keep_main_path(run, before.sha256, before.path, staged.row.path)
    return TakenRow(staged.row, Taking.UPDATED, before.sha256)


def _take_claimed(run: ImportRun, staged: StagedRow) -> TakenRow:
    """Take a row whose claimed hash is a known model, or whose path is known already."""
    location = location_of(run.connection, staged.row.path)
    is_refuted = location is not None and _is_refuted(location, staged.row.claim)
    taken = _take_as_model(run, staged)
    if location is not None and is_refuted:
        # The file has been read, and has another hash: what is said here is said of the file as well.
        waiting = _queue_for_file(run, staged, location)
        return waiting if taken is None else _joined(taken, waiting)
    if taken is None:
        return _queue(run, staged)
    _claim(run, staged, location, [statement_of(run, staged)])
    return taken


def _take_as_model(run: ImportRun, staged: StagedRow) -> TakenRow | None:
    """Keep what a row says under the hash that it claims; None when that is for the owner to decide."""
    row = staged.row
    existing = get_model(run.connection, row.claim)
    if existing is None:
        model, taken = model_of(row), with_image(row, Taking.MODEL, row.claim, staged.rendered, 0)
    else:
        decision = _decide(run, staged, existing)
        if decision.action is not Action.MERGED or decision.model is None:
            return None
        model = decision.model
        taken = with_image(row, Taking.MERGED, row.claim, staged.rendered, decision.image_seq)
    upsert_model(run.connection, model)
    for tag_id in run.tags_of(row):
        tag_model(run.connection, row.claim, tag_id)
    return _store_image(run, taken, staged)


def _is_refuted(location: Location, claim: str) -> bool:
    return not location.claimed and location.sha256 != claim


def _claim(run: ImportRun, staged: StagedRow, location: Location | None, said: Sequence[Statement]) -> None:
    """Keep with the location of a file that is still to be read what is said of it."""
    if location is None:
        put_location(run.connection, claimed_location(staged, said[0].claim), run.now_ms)
    if location is None or not location.is_read:
        keep_statements(run.connection, staged.row.path, said)


def _queue_for_file(run: ImportRun, staged: StagedRow, location: Location) -> TakenRow:
    taken = _queue(run, replace(staged, row=replace(staged.row, claim="")))
    return replace(taken, row=staged.row, found=location.sha256)


def _joined(model: TakenRow, waiting: TakenRow) -> TakenRow:
    """Return what is told of a row that is a model and waits as well."""
    return replace(
        waiting,
        kept_as=model.taking,
        sha256=model.sha256,
        migration=model.migration,
        files=model.files,
        wants_rendering=model.wants_rendering,
    )


def _decide(run: ImportRun, staged: StagedRow, existing: Model) -> Decision:
    row = staged.row
    incoming = pending_of(run, staged, 0)
    digest = staged.rendered.source_digest if staged.rendered else ("unknown" if row.image else None)
    return decide(
        incoming,
        row.claim,
        row.size_bytes,
        existing,
        [location.path for location in locations_of(run.connection, row.claim)],
        images_of(run.connection, row.claim),
        digest,
        Strategy.AUTO,
    )


def _queue(run: ImportRun, staged: StagedRow) -> TakenRow:
    """Put a row into the queue, into the row of its path if there is one."""
    return queue_all(run, [staged])[0]


def _keep_main_path(run: ImportRun, sha256: str, old: str, new: str) -> None:
    run.connection.execute(sa.update(models).where(models.c.sha256 == sha256, models.c.path == old).values(path=new))
    choose_main_paths(run.connection, [sha256])


def _store_image(run: ImportRun, taken: TakenRow, staged: StagedRow) -> TakenRow:
    if taken.files and staged.rendered is not None:
        seq = int(taken.files[0].final.split("_")[1])
        put_image(run.connection, taken.sha256, seq, staged.rendered)
        add_migrations(run.connection, [migration_values(taken.migration, run.now_ms, taken.files)])
    return taken
