"""The catalogue as the rest of the daemon sees it: asynchronous, domain values in and out.

Reads may run beside a write; writes come one after the other, each committed durably when its call returns. What a
method does, and what it takes after the connection, is said at the function of `store` that it is made of.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from modelkeep.catalogue.engine import Database
from modelkeep.catalogue.store import (
    acting,
    adopting,
    archive_records,
    archive_rows,
    archive_taking,
    archived,
    attaching,
    browsing,
    contents,
    control,
    details,
    due,
    duplicates,
    finding,
    images,
    import_survey,
    importing,
    knowing,
    locations,
    migrating,
    moving,
    offers,
    parking,
    records,
    scanning,
    siblings,
    source_images,
    tag_acting,
    unattached,
)
from modelkeep.catalogue.store import claims as claiming
from modelkeep.catalogue.store import models as modelling
from modelkeep.catalogue.store import pending as queue
from modelkeep.catalogue.store import sources as recorded
from modelkeep.catalogue.store import tags as tagging
from modelkeep.catalogue.store.import_survey import SCHEMA
from modelkeep.catalogue.upgrade import upgrade
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import StagedRow, Survey, TakenRows

P = ParamSpec("P")
T = TypeVar("T")

Stored = Callable[Concatenate[sa.Connection, P], T]
Method = Callable[Concatenate["Catalogue", P], Coroutine[Any, Any, T]]


def _reads(function: Stored[P, T]) -> Method[P, T]:
    """Make a method that runs a function of the store in a transaction of a reader."""

    @wraps(function)
    async def method(catalogue: "Catalogue", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await catalogue.database.read(function, *args, **kwargs)

    return method


def _writes(function: Stored[P, T]) -> Method[P, T]:
    """Make a method that runs a function of the store in a transaction of the writer."""

    @wraps(function)
    async def method(catalogue: "Catalogue", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await catalogue.database.write(function, *args, **kwargs)

    return method


class Catalogue:
    """Everything that is known, in one database."""

    def __init__(self, path: Path, *, read_only: bool = False, is_resting: bool = True) -> None:
        # A catalogue that nobody has made yet knows nothing, which is an answer too.
        self.database = Database(path, read_only=read_only, or_empty=read_only, is_resting=is_resting)

    @classmethod
    def open(cls, path: Path) -> "Catalogue":
        """Open a catalogue's file; a missing one is made, an older one upgraded after a backup copy.

        Raises:
            CatalogueError: the file is no catalogue, is damaged, or was made by a newer modelkeep.
        """
        upgrade(path)
        return cls(path)

    def close(self) -> None:
        """Finish what runs and close the file."""
        self.database.close()

    @property
    def changes(self) -> int:
        """Grows with each transaction that may have changed a row."""
        return self.database.changes

    # Detection and the queue
    detect = _writes(queue.detect)
    pending = _reads(queue.get_pending)
    pendings = _reads(queue.get_pendings)
    pending_by_path = _reads(queue.get_pending_by_path)
    pending_imports = _reads(queue.get_pending_imports)
    pending_ids = _reads(queue.pending_ids)
    pending_ids_above = _reads(queue.pending_ids_above)
    newest_pending_id = _reads(queue.newest_pending_id)
    pending_details = _reads(details.pending_details)
    due_pending = _reads(due.due_pending)
    put_off_at = _reads(due.put_off_at)
    park = _writes(parking.park)
    shift_due = _writes(due.shift_due)
    wake_below = _writes(due.wake_below)
    wait_again = _writes(due.wait_again)
    offer = _writes(offers.offer)
    relocate = _writes(offers.relocate)
    drop_pending = _writes(queue.drop_pending)
    forget_unknown = _writes(queue.forget_unknown)

    # Locations
    locations_at = _reads(locations.locations_at)
    locations_outside = _reads(locations.locations_outside)
    known_below = _reads(locations.known_below)
    compare_within = _reads(scanning.compare_within)
    twins_of = _reads(locations.twins_of)
    hashes_by_file_name = _reads(locations.hashes_by_file_name)
    put_locations = _writes(locations.put_each)
    see_again = _writes(locations.see_again)
    set_missing = _writes(parking.set_missing)
    set_unreachable = _writes(locations.set_locations_unreachable)
    set_state_below = _writes(locations.set_state_below)
    lose_content = _writes(locations.lose_content)
    doubt = _writes(locations.doubt)
    distrust = _writes(locations.distrust)
    move_paths = _writes(moving.move_paths)
    move_folder = _writes(moving.move_folder)
    exchange_folders = _writes(moving.exchange_folders)

    # Claims
    claims = _reads(claiming.claims)
    unread_contents = _reads(claiming.unread_contents)
    keep_contents = _writes(contents.keep_contents)
    keep_blake3 = _writes(contents.keep_blake3)
    waiting_header_images = _reads(contents.waiting_header_images)
    settle_header_image = _writes(contents.settle_header_image)
    successions = _reads(siblings.successions)
    families = _reads(siblings.families)
    mark_claims = _writes(claiming.mark_claims)
    image_to_follow = _reads(claiming.image_to_follow)
    judge_claims = _writes(claiming.judge_claims)

    # Migrations and stage 1
    preview = _reads(migrating.preview)
    migrate = _writes(migrating.migrate)
    act = _writes(acting.act)
    act_on_tags = _writes(tag_acting.act_on_tags)
    committed_migrations = _reads(control.committed_migrations)
    landed_migrations = _writes(control.landed_migrations)
    forget_migrations = _writes(control.forget_migrations)

    async def survey(self, kind: str, source: str, prepared: Path, *, again: bool = False) -> Survey:
        """Return what is known of the rows of a source that a file holds; most of it lies beside that file."""
        about = kind, source
        return await self.database.write_from(prepared, SCHEMA, import_survey.survey, *about, prepared, again=again)

    async def import_rows(
        self,
        kind: str,
        source: str,
        rows: Sequence[StagedRow],
        now_ms: int,
        before_commit: importing.BeforeCommit,
        *,
        dry_run: bool = False,
        again: bool = False,
        finished: Sequence[str] = (),
        prepared: Path | None = None,
        on_disk: Mapping[int, Fingerprint] = MappingProxyType({}),
    ) -> TakenRows:
        """Take the rows of a source; `prepared` is a file that holds all of them, `rows` those taken one by one."""
        return await self.database.write_from(
            prepared,
            SCHEMA,
            importing.import_rows,
            kind,
            source,
            rows,
            now_ms,
            before_commit,
            dry_run=dry_run,
            again=again,
            finished=finished,
            prepared=prepared,
            on_disk=on_disk,
        )

    # What other tools know
    adopt = _writes(adopting.adopt)
    attach_records = _writes(adopting.attach_records)
    resolve_orphans = _writes(adopting.resolve_orphans)
    may_attach = _reads(attaching.may_attach)
    claims_on_files = _reads(records.claims_on_files)
    unheard = _reads(knowing.unheard)
    wanted_images = _reads(source_images.wanted_images)
    taken_digests = _reads(source_images.taken_digests)
    note_taken = _writes(source_images.note_taken)
    unkept_images = _reads(source_images.unkept_images)
    keep_image = _writes(source_images.keep_image)
    source_files_in = _reads(source_images.files_in)
    source_folders_below = _reads(source_images.folders_below)

    # Archives
    archived_images = _reads(archived.archived_images)
    archived = _reads(archived.archived)
    wanted_of_archive = _reads(archive_taking.wanted_images)
    kept_of_archive = _reads(archive_records.kept_wanted)
    rows_of_archive = _reads(archive_rows.wanted_rows)
    take_archive = _writes(archive_taking.take_archive)

    # Questions
    models = _reads(modelling.list_models)
    model_hashes = _reads(modelling.list_hashes)
    models_listed = _reads(modelling.list_with_images)
    browse = _reads(browsing.browse)
    browsed_hashes = _reads(browsing.browsed_hashes)
    count_by_type = _reads(browsing.count_by_type)
    model = _reads(details.model_details)
    find_models = _reads(finding.find_models)
    sources = _reads(recorded.sources_of)
    orphans = _reads(recorded.orphans)
    orphan_ids = _reads(unattached.orphan_ids)
    contents_at_several_paths = _reads(duplicates.contents_at_several_paths)
    types = _reads(modelling.list_types)
    tags = _reads(tagging.list_tags)
    carried_tags = _reads(tagging.list_carried_tags)
    counts = _reads(control.counts)
    pending_counts = _reads(control.pending_counts)
    pending_images = _reads(details.pending_images)
    named_images = _reads(images.named_images)

    # The daemon's own memory
    is_paused = _reads(control.is_paused)
    prove_writer = _writes(control.is_paused)
    set_paused = _writes(control.set_paused)
    refused_sidecars = _reads(control.refused_sidecars)
    keep_refused_sidecars = _writes(control.keep_refused_sidecars)
