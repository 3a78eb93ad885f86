"""Take an archive in: all of it in one transaction, and what is known here stays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from uuid import uuid4

import sqlalchemy as sa

from modelkeep.catalogue.dialect import insert_missing, upsert
from modelkeep.catalogue.store.archive_records import take_records
from modelkeep.catalogue.store.archive_rows import fresh_rows, queue_rows, remembered, row_key
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.control import add_migrations, forget_migrations, migration_values
from modelkeep.catalogue.store.images import images_of_all, put_image_rows
from modelkeep.catalogue.store.locations import location_values, locations_of_all
from modelkeep.catalogue.store.models import get_models, upsert_models
from modelkeep.catalogue.store.pending import get_pendings_at, insert_pending
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.store.tags import create_tag
from modelkeep.catalogue.tables import (
    contents,
    imported_rows,
    knowledge,
    locations,
    model_tags,
    taken_images,
)
from modelkeep.domain.archive import (
    Archive,
    ArchivedModel,
    ArchivedRow,
    as_json,
    digest_of,
)
from modelkeep.domain.archive_taking import (
    SOURCE,
    StagedCopies,
    StagedFiles,
    TakenArchive,
    TakenModel,
    missing_images,
    take_known,
    take_new,
)
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.json_text import json_text
from modelkeep.domain.naming import PathMap
from modelkeep.domain.values import ImageRow, Location, LocationState
from modelkeep.errors import Busy

CONTENTS_AT_ONCE = 1_000
"""What headers say that is in memory together."""

BeforeCommit = Callable[[TakenArchive], None]

_LOCATION = Bulk(insert_missing(locations))
_TAG = Bulk(insert_missing(model_tags))
_SAID = Bulk(insert_missing(knowledge))
_REMEMBER = Bulk(upsert(imported_rows))
_TAKEN = Bulk(insert_missing(taken_images))
_CONTENTS = RowsOf(contents, ContentRow)
_CONTENT = Bulk(insert_missing(contents))


def wanted_images(connection: sa.Connection, archive: Archive) -> dict[str, list[int]]:
    """Return the numbers of the images that an archive brings and nobody has here, by content."""
    fresh = _fresh_models(connection, archive)
    known = images_of_all(connection, [model.sha256 for model in fresh])
    missing = {model.sha256: missing_images(model, known.get(model.sha256, ())) for model in fresh}
    return {sha256: [image.seq for image in images] for sha256, images in missing.items() if images}


def take_archive(
    connection: sa.Connection,
    archive: Archive,
    path_map: PathMap,
    on_disk: Mapping[str, Fingerprint],
    staged: StagedFiles,
    staged_rows: Mapping[str, str],
    staged_kept: StagedCopies,
    finished: Sequence[str],
    now_ms: int,
    before_commit: BeforeCommit,
    *,
    dry_run: bool = False,
) -> TakenArchive:
    """Take an archive in.

    Args:
        connection: the writer's connection.
        archive: all of it.
        path_map: what the owner wants rewritten of its paths.
        on_disk: the files that lie at its paths now, by the paths here.
        staged: its images that are wanted, as they are staged.
        staged_rows: staged copies of the images of its rows, by the paths here.
        staged_kept: staged copies of the images of its records without a model.
        finished: ids of earlier migrations whose end is in the journal; dropped once `before_commit` made it durable.
        now_ms: time of the transaction.
        before_commit: gets what was done before anything is visible to anybody; when it raises, nothing has happened.
        dry_run: everything is rolled back, and `before_commit` is not called.

    Raises:
        Busy: what is known changed since the images were staged.
    """
    if dry_run:
        savepoint = connection.begin_nested()
        try:
            none: tuple[str, ...] = ()
            return take_archive(
                connection, archive, path_map, on_disk, staged, staged_rows, {}, none, now_ms, lambda _: None
            )
        finally:
            savepoint.rollback()
    taking = _Taking(connection, archive, path_map, on_disk, now_ms)
    taken = taking.take(staged, staged_rows, staged_kept)
    before_commit(taken)
    forget_migrations(connection, finished)
    return taken


class _Taking:
    """One run."""

    def __init__(
        self,
        connection: sa.Connection,
        archive: Archive,
        path_map: PathMap,
        on_disk: Mapping[str, Fingerprint],
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._archive = archive
        self._map = path_map
        self._on_disk = on_disk
        self._now_ms = now_ms

    def take(self, staged: StagedFiles, staged_rows: Mapping[str, str], staged_kept: StagedCopies) -> TakenArchive:
        """Write everything, and return what was done."""
        fresh = _fresh_models(self._connection, self._archive)
        rows = fresh_rows(self._connection, self._archive, self._map)
        tags = self._make_tags(fresh, rows)
        models, held = self._take_models(fresh, staged, tags)
        self._put_locations(fresh)
        pending_images = queue_rows(self._connection, rows, staged_rows, tags, self._on_disk.keys(), self._now_ms)
        self._keep_contents()
        records, kept = take_records(self._connection, self._archive, self._map, staged_kept, self._now_ms)
        self._remember(fresh, rows)
        unchanged = len(self._archive.models) - len(fresh)
        return TakenArchive(tuple(models), unchanged, len(rows), records, pending_images | kept, tuple(held))

    def _make_tags(self, fresh: Sequence[ArchivedModel], rows: Sequence[ArchivedRow]) -> dict[str, int]:
        colours = {tag.name: tag for tag in self._archive.tags}
        carried = {tag for model in fresh for tag in model.tags} | {tag for row in rows for tag in row.tags}
        # A tag that nobody carries is somebody's too, until it was removed here.
        names = sorted(carried | (colours.keys() if fresh else set()))
        made: dict[str, int] = {}
        for name in names:
            known = colours.get(name)
            colour, created_at = (known.color, known.created_at) if known else ("", self._now_ms)
            made[name] = create_tag(self._connection, name, colour, created_at).id
        return made

    def _take_models(
        self, fresh: Sequence[ArchivedModel], staged: StagedFiles, tags: Mapping[str, int]
    ) -> tuple[list[TakenModel], list[str]]:
        hashes = [model.sha256 for model in fresh]
        known, images = get_models(self._connection, hashes), images_of_all(self._connection, hashes)
        paths = locations_of_all(self._connection, hashes)
        taken: list[TakenModel] = []
        for model in fresh:
            migration, path = uuid4().hex, self._map.apply(model.path)
            existing = known.get(model.sha256)
            self._require_staged(model, images.get(model.sha256, ()), staged)
            if existing is None:
                taken.append(take_new(model, path, staged, migration))
            else:
                held = [location.path for location in paths.get(model.sha256, ())]
                own = images.get(model.sha256, ())
                taken.append(take_known(model, path, existing, held, own, staged, migration, self._now_ms))
        upsert_models(self._connection, [each.model for each in taken if each.model is not None])
        _SAID.run(
            self._connection,
            [
                {"sha256": model.sha256, "base_json": json_text(model.said)}
                for model in fresh
                if model.said and model.sha256 not in known
            ],
        )
        _TAKEN.run(
            self._connection,
            [
                {"sha256": model.sha256, **as_json(replace(taking, path=self._map.apply(taking.path)))}
                for model in fresh
                for taking in model.taken
            ],
        )
        put_image_rows(self._connection, [row for each in taken for row in each.rows])
        carried = [{"model_hash": each.sha256, "tag_id": tags[tag]} for each in taken for tag in each.tags]
        _TAG.run(self._connection, carried)
        published = [each for each in taken if each.files]
        add_migrations(
            self._connection, [migration_values(each.migration, self._now_ms, each.files) for each in published]
        )
        return taken, self._ask(taken)

    def _require_staged(self, model: ArchivedModel, known: Sequence[ImageRow], staged: StagedFiles) -> None:
        needed = missing_images(model, known)
        if staged and any((model.sha256, image.seq) not in staged for image in needed):
            raise Busy(f"what is known of {model.name or model.sha256[:12]} changed meanwhile; import again")

    def _ask(self, taken: Sequence[TakenModel]) -> list[str]:
        """Put questions to the owner into the queue; returns the paths at which another row waits already."""
        asked = [each.asks for each in taken if each.asks is not None]
        waiting = set(get_pendings_at(self._connection, [row.path for row in asked])) if asked else set()
        held: list[str] = []
        for row in asked:
            if not row.path or row.path in waiting:
                held.append(row.path or row.sha256)
                continue
            waiting.add(row.path)
            insert_pending(self._connection, row)
        return held

    def _put_locations(self, fresh: Sequence[ArchivedModel]) -> None:
        """Have contents lie where the archive says, until their files are read; known paths stay as they are."""
        told = {
            self._map.apply(each.path): (model.sha256, each.first_seen, each.last_seen)
            for model in fresh
            for each in model.locations
        }
        waiting = get_pendings_at(self._connection, list(told)) if told else {}
        rows = []
        for path, (sha256, first_seen, last_seen) in told.items():
            if path in waiting:
                continue
            found = self._on_disk.get(path)
            state = LocationState.PRESENT if found else LocationState.MISSING
            location = Location(path, sha256, state, found, claimed=True, first_seen=first_seen, last_seen=last_seen)
            rows.append(location_values(location, self._now_ms))
        _LOCATION.run(self._connection, rows)

    def _keep_contents(self) -> None:
        """Keep what headers say; digests are computed from the bytes of a file, whatever an archive says."""
        known = {model.sha256 for model in self._archive.models}
        rows = (
            ContentRow(each.sha256, each.format, each.header, each.problem, tensors=None)
            for each in self._archive.contents
            if each.sha256 in known
        )
        while some := [_CONTENTS.row(row) for row in islice(rows, CONTENTS_AT_ONCE)]:
            _CONTENT.run(self._connection, some)

    def _remember(self, models: Sequence[ArchivedModel], rows: Sequence[ArchivedRow]) -> None:
        known = [(model.sha256, model) for model in models] + [(row_key(row), row) for row in rows]
        _REMEMBER.run(
            self._connection,
            [
                {"kind": SOURCE, "source": "", "row_key": key, "digest": digest_of(value), "path": "", "sha256": ""}
                for key, value in known
            ],
        )


def _fresh_models(connection: sa.Connection, archive: Archive) -> list[ArchivedModel]:
    """Return the models that no earlier import of an archive brought as they are, or that are not known any more."""
    held = remembered(connection)
    known = set(get_models(connection, [model.sha256 for model in archive.models]))
    return [
        model for model in archive.models if held.get(model.sha256) != digest_of(model) or model.sha256 not in known
    ]
