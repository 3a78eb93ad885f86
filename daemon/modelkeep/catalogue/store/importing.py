"""Stage 1: take the rows of a legacy source into the catalogue, the whole source in one transaction.

Most rows meet nothing that is known: those are gathered and written set-wise. The others are taken one by one
afterwards, by the same decision as a migration (`planning.decide`), so that nothing known is ever overwritten.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from modelkeep.catalogue.store.control import migration_values, note_migrations
from modelkeep.catalogue.store.locations import location_of, locations_of, put_location
from modelkeep.catalogue.store.models import choose_main_paths, get_model, model_values, upsert_model
from modelkeep.catalogue.store.pending import (
    get_pending,
    get_pending_by_path,
    next_pending_id,
    pending_values,
    update_pending,
)
from modelkeep.catalogue.store.pictures import image_values, images_of, put_image
from modelkeep.catalogue.store.tags import create_tag, tag_model, tag_pending
from modelkeep.catalogue.tables import (
    images,
    imported_rows,
    locations,
    migrations,
    model_tags,
    models,
    pending_import,
    pending_model_tags,
    tags,
)
from modelkeep.domain import metadata
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow, TakenRow, Taking
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.pictures import picture_name
from modelkeep.domain.planning import Decision, decide
from modelkeep.domain.values import (
    Action,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    RenderedPicture,
    Strategy,
    TierFile,
)

BeforeCommit = Callable[[Sequence[TakenRow]], None]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier run did with a row."""

    digest: str
    path: str
    sha256: str
    pending_id: int


@dataclass(slots=True)
class _Import:
    """One run: what it knows before it begins, and what it gathers."""

    connection: sa.Connection
    kind: str
    source: str
    now_ms: int
    earlier: Mapping[str, _Earlier]
    tag_ids: Mapping[str, int]
    known_models: set[str]
    known_paths: set[str]
    next_pending_id: int
    new_models: list[dict[str, object]] = field(default_factory=list)
    new_locations: list[dict[str, object]] = field(default_factory=list)
    new_pending: list[dict[str, object]] = field(default_factory=list)
    new_model_tags: list[dict[str, object]] = field(default_factory=list)
    new_pending_tags: list[dict[str, object]] = field(default_factory=list)
    new_images: list[dict[str, object]] = field(default_factory=list)
    new_migrations: list[dict[str, object]] = field(default_factory=list)

    def tags_of(self, row: LegacyRow) -> list[int]:
        return sorted({self.tag_ids[tag.name] for tag in row.tags})

    def take_pending_id(self) -> int:
        self.next_pending_id += 1
        return self.next_pending_id - 1


def import_rows(
    connection: sa.Connection,
    kind: str,
    source: str,
    rows: Sequence[StagedRow],
    now_ms: int,
    before_commit: BeforeCommit,
) -> list[TakenRow]:
    """Take the rows of a source; see `domain.legacy` for what is handed in and what comes back.

    `before_commit` gets what was done with each row before anything is visible to anybody; when it raises, nothing
    has happened.
    """
    run = _begin(connection, kind, source, rows, now_ms)
    taken: dict[str, TakenRow] = {}
    later: list[StagedRow] = []
    for staged in rows:
        simple = _take_simply(run, staged)
        if simple is None:
            later.append(staged)
        else:
            taken[staged.row.key] = simple
    _write_gathered(run)
    for staged in later:
        taken[staged.row.key] = _take_with_care(run, staged)
    in_order = [taken[staged.row.key] for staged in rows]
    _remember(run, in_order)
    before_commit(in_order)
    return in_order


def _begin(connection: sa.Connection, kind: str, source: str, rows: Sequence[StagedRow], now_ms: int) -> _Import:
    query = sa.select(
        imported_rows.c.row_key,
        imported_rows.c.digest,
        imported_rows.c.path,
        imported_rows.c.sha256,
        imported_rows.c.pending_id,
    ).where(imported_rows.c.kind == kind, imported_rows.c.source == source)
    earlier = {key: _Earlier(*values) for key, *values in connection.execute(query)}
    return _Import(
        connection,
        kind,
        source,
        now_ms,
        earlier,
        _make_tags(connection, rows, earlier),
        set(connection.execute(sa.select(models.c.sha256)).scalars()),
        {
            *connection.execute(sa.select(locations.c.path)).scalars(),
            *connection.execute(sa.select(pending_import.c.path)).scalars(),
        },
        next_pending_id=next_pending_id(connection),
    )


def _make_tags(
    connection: sa.Connection, rows: Sequence[StagedRow], earlier: Mapping[str, _Earlier]
) -> dict[str, int]:
    """Make the tags of the rows that are new or changed; a tag that nobody carries any more does not come back."""
    wanted: dict[str, LegacyTag] = {}
    for staged in rows:
        row = staged.row
        before = earlier.get(row.key)
        if before is None or before.digest != row.digest:
            wanted.update((tag.name, tag) for tag in row.tags)
    for tag in wanted.values():
        create_tag(connection, tag.name, tag.color, tag.created_at)
    return {row.name: row.id for row in connection.execute(sa.select(tags.c.name, tags.c.id))}


def _take_simply(run: _Import, staged: StagedRow) -> TakenRow | None:
    """Take a row that an earlier run took, or that meets nothing known; None when it needs care."""
    row = staged.row
    before = run.earlier.get(row.key)
    if before is not None:
        unchanged = before.digest == row.digest and before.path == row.path
        return TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id) if unchanged else None
    if row.path in run.known_paths or (row.claim and row.claim in run.known_models):
        return None
    run.known_paths.add(row.path)
    if row.claim:
        run.known_models.add(row.claim)
        return _gather_model(run, staged)
    return _gather_pending(run, staged)


def _gather_model(run: _Import, staged: StagedRow) -> TakenRow:
    row = staged.row
    run.new_models.append(model_values(_model_of(row)))
    run.new_locations.append(
        {
            "path": row.path,
            "sha256": row.claim,
            "state": LocationState.MISSING if staged.on_disk is None else LocationState.PRESENT,
            "claimed": True,
            "first_seen": run.now_ms,
            "last_seen": run.now_ms,
        }
    )
    run.new_model_tags += [{"model_hash": row.claim, "tag_id": tag_id} for tag_id in run.tags_of(row)]
    taken = _with_picture(row, Taking.MODEL, row.claim, staged.rendered, 0)
    if taken.files and staged.rendered is not None:
        run.new_images.append(image_values(row.claim, 0, staged.rendered))
        run.new_migrations.append(migration_values(taken.migration, run.now_ms, taken.files))
    return taken


def _gather_pending(run: _Import, staged: StagedRow) -> TakenRow:
    pending = _pending_of(run, staged, run.take_pending_id())
    run.new_pending.append({"id": pending.id, **pending_values(pending)})
    run.new_pending_tags += [{"model_id": pending.id, "tag_id": tag_id} for tag_id in run.tags_of(staged.row)]
    return _waiting(staged, Taking.PENDING, pending)


def _write_gathered(run: _Import) -> None:
    for table, values in (
        (models, run.new_models),
        (locations, run.new_locations),
        (model_tags, run.new_model_tags),
        (pending_import, run.new_pending),
        (pending_model_tags, run.new_pending_tags),
        (images, run.new_images),
        (migrations, run.new_migrations),
    ):
        if values:
            run.connection.execute(sa.insert(table), values)


def _take_with_care(run: _Import, staged: StagedRow) -> TakenRow:
    """Take a row that was taken before and changed, or that meets something known."""
    before = run.earlier.get(staged.row.key)
    if before is not None:
        taken = _take_again(run, staged, before)
        if taken is not None:
            return taken
    if staged.row.claim:
        return _take_claimed(run, staged)
    return _queue(run, staged)


def _take_again(run: _Import, staged: StagedRow, before: _Earlier) -> TakenRow | None:
    """Take a row that an earlier run took under another path (`--map`) or with other contents."""
    row = staged.row
    pending = get_pending(run.connection, before.pending_id) if before.pending_id else None
    if pending is not None:
        if get_pending_by_path(run.connection, row.path) not in (None, pending):
            return TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)
        fresh = _pending_of(run, staged, pending.id)
        # A picture that was taken already stays unless the row itself changed.
        image = fresh.image if before.digest != row.digest else pending.image
        update_pending(run.connection, fresh.evolve(image=image or pending.image))
        tag_pending(run.connection, pending.id, run.tags_of(row) if before.digest != row.digest else [])
        return _waiting(staged, Taking.UPDATED, fresh, picture=before.digest != row.digest)
    if before.digest != row.digest:
        return None
    if before.sha256 and _follow_claim(run, staged, before):
        return TakenRow(row, Taking.UPDATED, before.sha256)
    return TakenRow(row, Taking.UNCHANGED, before.sha256, before.pending_id)


def _follow_claim(run: _Import, staged: StagedRow, before: _Earlier) -> bool:
    """Move a claimed location that was never seen to the path that another `--map` gives; tells whether it did."""
    place = location_of(run.connection, before.path)
    if place is None or place.fingerprint is not None or location_of(run.connection, staged.row.path) is not None:
        return False
    run.connection.execute(sa.delete(locations).where(locations.c.path == before.path))
    put_location(run.connection, _claimed_location(staged, before.sha256), run.now_ms)
    _keep_main_path(run, before.sha256, before.path, staged.row.path)
    return True


def _take_claimed(run: _Import, staged: StagedRow) -> TakenRow:
    """Take a row whose claimed hash is a known model, or whose path is known already."""
    row = staged.row
    place = location_of(run.connection, row.path)
    existing = get_model(run.connection, row.claim)
    if existing is None:
        upsert_model(run.connection, _model_of(row))
        if place is None:
            put_location(run.connection, _claimed_location(staged, row.claim), run.now_ms)
        for tag_id in run.tags_of(row):
            tag_model(run.connection, row.claim, tag_id)
        return _store_picture(run, _with_picture(row, Taking.MODEL, row.claim, staged.rendered, 0), staged)
    decision = _decide(run, staged, existing)
    if decision.action is not Action.MERGED or decision.model is None:
        return _queue(run, staged)
    upsert_model(run.connection, decision.model)
    for tag_id in run.tags_of(row):
        tag_model(run.connection, row.claim, tag_id)
    if place is None:
        put_location(run.connection, _claimed_location(staged, row.claim), run.now_ms)
    taken = _with_picture(row, Taking.MERGED, row.claim, staged.rendered, decision.image_seq)
    return _store_picture(run, taken, staged)


def _decide(run: _Import, staged: StagedRow, existing: Model) -> Decision:
    row = staged.row
    incoming = _pending_of(run, staged, 0)
    digest = staged.rendered.source_digest if staged.rendered else ("unknown" if row.picture else None)
    return decide(
        incoming,
        row.claim,
        row.size_bytes,
        existing,
        [place.path for place in locations_of(run.connection, row.claim)],
        images_of(run.connection, row.claim),
        digest,
        Strategy.AUTO,
    )


def _queue(run: _Import, staged: StagedRow) -> TakenRow:
    """Put a row into the queue, into the row of its path if there is one."""
    row = staged.row
    held = get_pending_by_path(run.connection, row.path)
    if held is None:
        pending = _pending_of(run, staged, run.take_pending_id())
        run.connection.execute(sa.insert(pending_import).values(id=pending.id, **pending_values(pending)))
        tag_pending(run.connection, pending.id, run.tags_of(row))
        return _waiting(staged, Taking.PENDING, pending)
    fresh = _pending_of(run, staged, held.id)
    if not held.knows_nothing:
        fresh = _join(run.kind, held, fresh)
    update_pending(run.connection, fresh)
    tag_pending(run.connection, held.id, run.tags_of(row))
    return _waiting(staged, Taking.PENDING, fresh, picture=not held.image)


def _join(kind: str, held: PendingImport, fresh: PendingImport) -> PendingImport:
    """Join two descriptions of one path: what is there stays, gaps are filled, what differs is kept beside."""
    meta = metadata.merge(held.meta, fresh.meta)
    if any(metadata.differences(held.meta, fresh.meta)):
        meta = {**meta, f"also_{kind}": fresh.meta}
    return held.evolve(
        name=held.name or fresh.name,
        type=held.type or fresh.type,
        base=held.base or fresh.base,
        sha256=held.sha256 or fresh.sha256,
        meta=meta,
        image=held.image or fresh.image,
        state=fresh.state,
        due_at=fresh.due_at,
        last_error=fresh.last_error,
    )


def _model_of(row: LegacyRow) -> Model:
    return Model(
        sha256=row.claim,
        path=row.path,
        name=row.name or suggested_name(row.path),
        type=row.type,
        base=row.base,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        meta=row.meta,
    )


def _pending_of(run: _Import, staged: StagedRow, pending_id: int) -> PendingImport:
    row = staged.row
    absent = staged.on_disk is None
    suffix = staged.copied[staged.copied.rindex(".") :] if "." in staged.copied else ""
    return PendingImport(
        id=pending_id,
        path=row.path,
        sha256=row.claim,
        name=row.name,
        type=row.type,
        base=row.base,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        meta=row.meta,
        source=run.kind,
        state=PendingState.MISSING if absent else PendingState.WAITING,
        due_at=run.now_ms,
        last_error=f"there is no file at {row.path}" if absent else "",
        image=f"{pending_id}{suffix}" if staged.copied else "",
    )


def _claimed_location(staged: StagedRow, sha256: str) -> Location:
    state = LocationState.MISSING if staged.on_disk is None else LocationState.PRESENT
    return Location(staged.row.path, sha256, state, claimed=True)


def _keep_main_path(run: _Import, sha256: str, old: str, new: str) -> None:
    run.connection.execute(sa.update(models).where(models.c.sha256 == sha256, models.c.path == old).values(path=new))
    choose_main_paths(run.connection, [sha256])


def _with_picture(
    row: LegacyRow, taking: Taking, sha256: str, rendered: RenderedPicture | None, seq: int | None
) -> TakenRow:
    taken = TakenRow(row, taking, sha256, wants_rendering=bool(row.picture) and seq is not None)
    if rendered is None or seq is None:
        return taken
    files = tuple(TierFile(staged, picture_name(sha256, seq, quality)) for quality, staged in rendered.staged.items())
    return replace(taken, migration=uuid4().hex, files=files)


def _waiting(staged: StagedRow, taking: Taking, pending: PendingImport, *, picture: bool = True) -> TakenRow:
    wants_copy = picture and bool(staged.row.picture)
    return TakenRow(
        staged.row,
        taking,
        pending.sha256,
        pending.id,
        pending_image=pending.image if wants_copy and staged.copied else "",
        wants_copy=wants_copy,
    )


def _store_picture(run: _Import, taken: TakenRow, staged: StagedRow) -> TakenRow:
    if taken.files and staged.rendered is not None:
        seq = int(taken.files[0].final.split("_")[1])
        put_image(run.connection, taken.sha256, seq, staged.rendered)
        note_migrations(run.connection, [migration_values(taken.migration, run.now_ms, taken.files)])
    return taken


def _remember(run: _Import, taken: Iterable[TakenRow]) -> None:
    rows = [
        {
            "kind": run.kind,
            "source": run.source,
            "row_key": row.row.key,
            "digest": row.row.digest,
            "path": row.row.path,
            "sha256": row.sha256 if not row.pending_id else "",
            "pending_id": row.pending_id,
        }
        for row in taken
        if row.taking is not Taking.UNCHANGED
    ]
    if rows:
        statement = insert(imported_rows)
        columns = ("digest", "path", "sha256", "pending_id")
        run.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "source", "row_key"],
                set_={name: statement.excluded[name] for name in columns},
            ),
            rows,
        )
