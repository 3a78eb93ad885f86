"""One run of stage 1: what it knows before it begins, what it gathers, and how a legacy row becomes one of ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, insert_missing, next_ids, upsert
from modelkeep.catalogue.store.bulk import Bulk, all_rows
from modelkeep.catalogue.store.pending import get_pendings_at, pending_values
from modelkeep.catalogue.store.tags import create_tag
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
from modelkeep.domain.claims import Statement
from modelkeep.domain.images import image_name
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow, TakenRow, Taking
from modelkeep.domain.naming import suggested_name
from modelkeep.domain.planning import join
from modelkeep.domain.values import (
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    RenderedImage,
    TierFile,
)


class Earlier(NamedTuple):
    """What an earlier run did with a row."""

    digest: str
    path: str
    sha256: str
    pending_id: int

    @property
    def is_dropped(self) -> bool:
        """Whether the owner dropped what it became."""
        return not self.sha256 and not self.pending_id


@dataclass(slots=True)
class Known:
    """What of the rows that are new or changed the catalogue knows already: contents, and paths of locations."""

    models: set[str]
    located: set[str]


@dataclass(slots=True)
class ImportRun:
    """One run: what it knows before it begins, and what it gathers."""

    connection: sa.Connection
    kind: str
    source: str
    now_ms: int
    earlier: Mapping[str, Earlier]
    tag_ids: Mapping[str, int]
    known: "Known"
    new_models: list[dict[str, object]] = field(default_factory=list)
    new_locations: list[dict[str, object]] = field(default_factory=list)
    new_model_tags: list[dict[str, object]] = field(default_factory=list)
    new_images: list[dict[str, object]] = field(default_factory=list)
    new_migrations: list[dict[str, object]] = field(default_factory=list)
    waiting: list[StagedRow] = field(default_factory=list)
    """Rows without a hash, for the queue."""

    def tags_of(self, row: LegacyRow) -> list[int]:
        """Return the ids of a row's tags."""
        return sorted({self.tag_ids[tag.name] for tag in row.tags})


def begin(
    connection: sa.Connection, kind: str, source: str, rows: Sequence[StagedRow], now_ms: int, *, again: bool = False
) -> ImportRun:
    """Learn what is known before an import begins, and make its tags."""
    columns = imported_rows.c
    query = sa.select(columns.row_key, columns.digest, columns.path, columns.sha256, columns.pending_id)
    asked = among(columns.row_key, [staged.row.key for staged in rows])
    found = all_rows(connection, query.where(columns.kind == kind, columns.source == source, asked))
    earlier = {values[0]: Earlier._make(values[1:]) for values in found}
    if again:
        earlier = {key: row for key, row in earlier.items() if not row.is_dropped}
    return ImportRun(
        connection,
        kind,
        source,
        now_ms,
        earlier,
        _make_tags(connection, rows, earlier),
        _known(connection, [staged.row for staged in rows if not is_unchanged(staged.row, earlier)]),
    )


def is_unchanged(row: LegacyRow, earlier: Mapping[str, Earlier]) -> bool:
    """Return whether an earlier run has taken a row as it is."""
    before = earlier.get(row.key)
    return before is not None and (before.digest, before.path) == (row.digest, row.path)


def _known(connection: sa.Connection, rows: Sequence[LegacyRow]) -> Known:
    return Known(
        _held(connection, models.c.sha256, [row.claim for row in rows if row.claim]),
        _held(connection, locations.c.path, [row.path for row in rows]),
    )


def _held(connection: sa.Connection, column: sa.Column[str], asked: Sequence[str]) -> set[str]:
    """Return those of these texts that a column holds."""
    return set(connection.execute(sa.select(column).where(among(column, asked))).scalars()) if asked else set()


def _make_tags(
    connection: sa.Connection, rows: Sequence[StagedRow], earlier: Mapping[str, Earlier]
) -> dict[str, int]:
    """Make the tags of the rows that are new or changed; a tag that nobody carries any more does not come back."""
    wanted: dict[str, LegacyTag] = {}
    for staged in rows:
        row = staged.row
        before = earlier.get(row.key)
        if before is None or before.digest != row.digest:
            wanted.update((tag.name, tag) for tag in row.tags if tag.color or tag.name not in wanted)
    return make_tags(connection, wanted.values())


def make_tags(connection: sa.Connection, wanted: Iterable[LegacyTag]) -> dict[str, int]:
    """Make tags that there are not, and return the ids of all that there are by name."""
    for tag in wanted:
        create_tag(connection, tag.name, tag.color, tag.created_at)
    return {row.name: row.id for row in connection.execute(sa.select(tags.c.name, tags.c.id))}


def write_gathered(run: ImportRun) -> None:
    """Write set-wise what was gathered row by row."""
    for insert, rows in zip(
        _GATHERED,
        (run.new_models, run.new_locations, run.new_model_tags, run.new_images, run.new_migrations),
        strict=True,
    ):
        insert.run(run.connection, rows)


_GATHERED = tuple(Bulk(sa.insert(table)) for table in (models, locations, model_tags, images, migrations))


def queue_all(run: ImportRun, rows: Sequence[StagedRow]) -> list[TakenRow]:
    """Put rows into the queue, each into the row of its path if there is one."""
    held = get_pendings_at(run.connection, [staged.row.path for staged in rows])
    joined = [(staged, held[staged.row.path]) for staged in rows if staged.row.path in held]
    taken = queue_new(run, [staged for staged in rows if staged.row.path not in held])
    return [*taken, *_queue_known(run, joined)]


def _queue_known(run: ImportRun, rows: Sequence[tuple[StagedRow, PendingImport]]) -> list[TakenRow]:
    """Let rows of the queue say what a source says of their paths besides what they say already."""
    said = [(staged, held, pending_of(run, staged, held.id)) for staged, held in rows]
    fresh = [(staged, held, new if held.knows_nothing else join(run.kind, held, new)) for staged, held, new in said]
    _UPDATE.run(run.connection, [pending_values(row) | {"b_id": row.id} for _, _, row in fresh])
    tagged = [(row.id, tag) for staged, _, row in fresh for tag in run.tags_of(staged.row)]
    _TAG_KNOWN.run(run.connection, [{"model_id": pending_id, "tag_id": tag} for pending_id, tag in tagged])
    return [waiting_row(staged, Taking.PENDING, row, image=not held.image) for staged, held, row in fresh]


def queue_new(run: ImportRun, rows: Sequence[StagedRow]) -> list[TakenRow]:
    """Put rows into the queue, each of another path at which none waits."""
    # The image of a row is named by its id, so that is known before the row is written.
    ids = next_ids(run.connection, pending_import, len(rows))
    queued = [(staged, pending_of(run, staged, new_id)) for new_id, staged in zip(ids, rows, strict=True)]
    _QUEUE.run(run.connection, [pending_values(row) | {"id": row.id} for _, row in queued])
    tagged = [(pending.id, tag) for staged, pending in queued for tag in run.tags_of(staged.row)]
    _TAG_QUEUED.run(run.connection, [{"model_id": pending_id, "tag_id": tag} for pending_id, tag in tagged])
    return [waiting_row(staged, Taking.PENDING, pending) for staged, pending in queued]


_QUEUE, _TAG_QUEUED = Bulk(sa.insert(pending_import)), Bulk(sa.insert(pending_model_tags))
_UPDATE = Bulk(sa.update(pending_import).where(pending_import.c.id == sa.bindparam("b_id")))
_TAG_KNOWN = Bulk(insert_missing(pending_model_tags))


def remember(run: ImportRun, taken: Iterable[TakenRow]) -> None:
    """Note what was done with each row, so that another run knows it."""
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
    _REMEMBER.run(run.connection, rows)


_REMEMBER = Bulk(upsert(imported_rows))


def model_of(row: LegacyRow) -> Model:
    """Return the model that a row with a hash becomes."""
    return Model(
        sha256=row.claim,
        path=row.path,
        size_bytes=row.size_bytes,
        **row.description | {"name": row.name or suggested_name(row.path)},
    )


def statement_of(run: ImportRun, staged: StagedRow) -> Statement:
    """Return what is kept with the location of a row with a hash until its file has been read."""
    row = staged.row
    return Statement(
        row.claim,
        run.kind,
        tuple(run.tags_of(row)),
        staged.rendered.source_digest if staged.rendered is not None else "",
        **row.description,
    )


def claimed_location(staged: StagedRow, sha256: str) -> Location:
    """Return the location of a row with a hash."""
    state = LocationState.MISSING if staged.on_disk is None else LocationState.PRESENT
    # Its file is known by its fingerprint from the first: so it is found again wherever it is renamed to.
    return Location(staged.row.path, sha256, state, staged.on_disk, claimed=True)


def pending_of(run: ImportRun, staged: StagedRow, pending_id: int, held_image: str = "") -> PendingImport:
    """Return the row of the queue that a legacy row becomes.

    `held_image` is the image that it has already. One without an id names no image.
    """
    row = staged.row
    absent = staged.on_disk is None
    suffix = staged.copied[staged.copied.rindex(".") :] if "." in staged.copied else ""
    return PendingImport(
        id=pending_id,
        path=row.path,
        sha256=row.claim,
        size_bytes=row.size_bytes,
        **row.description,
        source=run.kind,
        state=PendingState.MISSING if absent else PendingState.WAITING,
        due_at=run.now_ms,
        last_error=f"there is no file at {row.path}" if absent else "",
        image=_image_name(pending_id, suffix, held_image) if staged.copied and pending_id else "",
    )


def _image_name(pending_id: int, suffix: str, held: str) -> str:
    # Never that of the image that is replaced: until the commit, and after a crash before it, the row means that.
    name = f"{pending_id}{suffix}"
    return name if name != held else f"{pending_id}-again{suffix}"


def with_image(
    row: LegacyRow, taking: Taking, sha256: str, rendered: RenderedImage | None, seq: int | None
) -> TakenRow:
    """Return a taken row with the files that its image publishes as that sequence number; None: it has none."""
    taken = TakenRow(row, taking, sha256, wants_rendering=bool(row.image) and seq is not None)
    if rendered is None or seq is None:
        return taken
    files = tuple(TierFile(staged, image_name(sha256, seq, quality)) for quality, staged in rendered.staged.items())
    return replace(taken, migration=uuid4().hex, files=files)


def waiting_row(staged: StagedRow, taking: Taking, pending: PendingImport, *, image: bool = True) -> TakenRow:
    """Return what is told of a row that waits in the queue now."""
    wants_copy = image and bool(staged.row.image)
    return TakenRow(
        staged.row,
        taking,
        pending.sha256,
        pending.id,
        pending_image=pending.image if wants_copy and staged.copied else "",
        wants_copy=wants_copy,
    )
