"""Take an archive in: all of it in one transaction, and what is known here stays."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from uuid import uuid4

import sqlalchemy as sa

from modelkeep.base.portions import in_portions
from modelkeep.base.set_aside import SetAside
from modelkeep.catalogue.dialect import insert_missing, upsert
from modelkeep.catalogue.store.archive_records import take_records
from modelkeep.catalogue.store.archive_rows import ROWS_AT_ONCE, fresh_rows, queue_rows, remembered, row_key
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.control import add_migrations, forget_migrations, migration_values
from modelkeep.catalogue.store.images import images_of_all, put_image_rows
from modelkeep.catalogue.store.locations import location_values, locations_of_all
from modelkeep.catalogue.store.models import get_models, known_hashes, upsert_models
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

MODELS_AT_ONCE = 500
CONTENTS_AT_ONCE = 1_000
"""Of an archive that are in memory together."""

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
    wanted: dict[str, list[int]] = {}
    for some in in_portions(archive.models, MODELS_AT_ONCE):
        fresh = _fresh_models(connection, [model for model in some if model.images])
        known = images_of_all(connection, [model.sha256 for model in fresh])
        missing = {model.sha256: missing_images(model, known.get(model.sha256, ())) for model in fresh}
        wanted |= {sha256: [image.seq for image in images] for sha256, images in missing.items() if images}
    return wanted


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
    told: SetAside[TakenModel],
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
        told: where the models are set aside, of which there may be a million.
        dry_run: everything is rolled back, and `before_commit` is not called.

    Raises:
        Busy: what is known changed since the images were staged.
    """
    if dry_run:
        savepoint = connection.begin_nested()
        try:
            none: tuple[str, ...] = ()
            return take_archive(
                connection, archive, path_map, on_disk, staged, staged_rows, {}, none, now_ms, lambda _: None, told
            )
        finally:
            savepoint.rollback()
    taking = _Taking(connection, archive, path_map, on_disk, now_ms, told)
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
        told: SetAside[TakenModel],
    ) -> None:
        self._connection = connection
        self._archive = archive
        self._map = path_map
        self._on_disk = on_disk
        self._now_ms = now_ms
        self._colours = {tag.name: tag for tag in archive.tags}
        self._tags: dict[str, int] = {}
        self._told = told
        self._asked: set[str] = set()
        self._held: list[str] = []

    def take(self, staged: StagedFiles, staged_rows: Mapping[str, str], staged_kept: StagedCopies) -> TakenArchive:
        """Write everything, and return what was done."""
        asked = 0
        for models in in_portions(self._archive.models, MODELS_AT_ONCE):
            fresh = _fresh_models(self._connection, models)
            taken = self._take_models(fresh, staged)
            self._put_locations(fresh)
            self._remember((model.sha256, model) for model in fresh)
            asked += sum(1 for each in taken if each.asks is not None)
            self._told.extend(each.as_told for each in taken)
        rows, pending_images = self._take_rows(staged_rows)
        self._keep_contents()
        records, kept = take_records(self._connection, self._archive, self._map, staged_kept, self._now_ms)
        return TakenArchive(self._told, asked, rows, records, pending_images | kept, tuple(self._held))

    def _take_rows(self, staged: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Put rows into the queue; returns how many, and the staged copies of their images by their names."""
        count, named = 0, dict[str, str]()
        for some in in_portions(self._archive.pending, ROWS_AT_ONCE):
            rows = fresh_rows(self._connection, some, self._map, self._asked)
            self._make_tags({tag for row in rows for tag in row.tags})
            known = self._tags, self._on_disk.keys(), self._now_ms
            named |= queue_rows(self._connection, rows, staged, *known)
            self._remember((row_key(row), row) for row in rows)
            count += len(rows)
        return count, named

    def _make_tags(self, names: Set[str]) -> None:
        """Have these tags here, and know their ids."""
        for name in sorted(names - self._tags.keys()):
            known = self._colours.get(name)
            colour, created_at = (known.color, known.created_at) if known else ("", self._now_ms)
            self._tags[name] = create_tag(self._connection, name, colour, created_at).id

    def _take_models(self, fresh: Sequence[ArchivedModel], staged: StagedFiles) -> list[TakenModel]:
        if fresh:  # a tag that nobody carries is somebody's too, until it was removed here
            self._make_tags({tag for model in fresh for tag in model.tags} | self._colours.keys())
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
        carried = [{"model_hash": each.sha256, "tag_id": self._tags[tag]} for each in taken for tag in each.tags]
        _TAG.run(self._connection, carried)
        published = [each for each in taken if each.files]
        add_migrations(
            self._connection, [migration_values(each.migration, self._now_ms, each.files) for each in published]
        )
        self._ask(taken)
        return taken

    def _require_staged(self, model: ArchivedModel, known: Sequence[ImageRow], staged: StagedFiles) -> None:
        needed = missing_images(model, known)
        if staged and any((model.sha256, image.seq) not in staged for image in needed):
            raise Busy(f"what is known of {model.name or model.sha256[:12]} changed meanwhile; import again")

    def _ask(self, taken: Sequence[TakenModel]) -> None:
        """Put questions to the owner into the queue, but where another row waits already."""
        asked = [each.asks for each in taken if each.asks is not None]
        waiting = set(get_pendings_at(self._connection, [row.path for row in asked])) if asked else set()
        for row in asked:
            if not row.path or row.path in waiting:
                self._held.append(row.path or row.sha256)
                continue
            waiting.add(row.path)
            self._asked.add(row.path)
            insert_pending(self._connection, row)

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
        for some in in_portions(self._archive.contents, CONTENTS_AT_ONCE):
            known = known_hashes(self._connection, [each.sha256 for each in some])
            rows = [
                ContentRow(each.sha256, each.format, each.header, each.problem, tensors=None)
                for each in some
                if each.sha256 in known
            ]
            _CONTENT.run_columns(self._connection, _CONTENTS.columns_of(rows))

    def _remember(self, known: Iterable[tuple[str, ArchivedModel | ArchivedRow]]) -> None:
        _REMEMBER.run(
            self._connection,
            [
                {"kind": SOURCE, "source": "", "row_key": key, "digest": digest_of(value), "path": "", "sha256": ""}
                for key, value in known
            ],
        )


def _fresh_models(connection: sa.Connection, archived: Sequence[ArchivedModel]) -> list[ArchivedModel]:
    """Return the models that no earlier import of an archive brought as they are, or that are not known any more."""
    hashes = [model.sha256 for model in archived]
    held, known = remembered(connection, hashes), known_hashes(connection, hashes)
    return [model for model in archived if held.get(model.sha256) != digest_of(model) or model.sha256 not in known]
