"""The catalogue as the rest of the daemon sees it: asynchronous, domain values in and out.

Reads may run beside a write; writes come one after the other, each committed durably when its call returns.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.engine import Database
from modelkeep.catalogue.store import (
    acting,
    claims,
    control,
    details,
    duplicates,
    import_place,
    importing,
    locations,
    migrating,
    models,
    offers,
    pending,
    pictures,
    tags,
)
from modelkeep.catalogue.upgrade import upgrade
from modelkeep.domain.acts import ActOrder, ActPlan
from modelkeep.domain.claims import ClaimedPicture, Judgement, Reading
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.detection import Found, Moved, Rename
from modelkeep.domain.legacy import LegacyRow, StagedRow, TakenRow
from modelkeep.domain.migration import MigrationOrder, MigrationResult
from modelkeep.domain.naming import Root
from modelkeep.domain.parking import Parked
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import (
    Fingerprint,
    JsonObject,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    Tag,
)


class Catalogue:
    """Everything that is known, in one SQLite file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._database = Database(path, read_only=read_only)

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
        self._database.close()

    # Detection and the queue

    async def detect(
        self, found: Sequence[Found], roots: Sequence[Root], now_ms: int
    ) -> list[tuple[PendingImport, bool]]:
        """Make sure that each found file has a waiting row; tells of each whether its row is new."""
        return await self._database.write(pending.detect, found, roots, now_ms)

    async def pending(self, pending_id: int) -> PendingImport | None:
        """Return the pending row of an id."""
        return await self._database.read(pending.get_pending, pending_id)

    async def pending_by_path(self, path: str) -> PendingImport | None:
        """Return the pending row of a path."""
        return await self._database.read(pending.get_pending_by_path, path)

    async def pending_imports(self, state: str | None = None, limit: int = 0, offset: int = 0) -> list[PendingImport]:
        """Return pending rows by id; `limit` 0 for all."""
        return await self._database.read(pending.get_pending_imports, state, limit, offset)

    async def due_pending(self, now_ms: int, limit: int, without_ids: Collection[int] = ()) -> list[PendingImport]:
        """Return the rows that the sweep takes up, the longest due first."""
        return await self._database.read(pending.due_pending, now_ms, limit, without_ids)

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        """Note on rows why they could not be migrated; returns those for which that is news."""
        return await self._database.write(_park, parked)

    async def shift_due(self, after_ms: int, shift_ms: int) -> int:
        """Move what is due after a moment by so much, because the wall clock was set."""
        return await self._database.write(pending.shift_due, after_ms, shift_ms)

    async def wake_below(self, folder: str, now_ms: int) -> int:
        """Make the failed and missing rows below a folder due now."""
        return await self._database.write(pending.wake_below, folder, now_ms)

    async def wait_again(self, now_ms: int, ids: Sequence[int] | None = None) -> int:
        """Make rows due now; None for every failed or missing one. Returns how many."""
        return await self._database.write(pending.wait_again, now_ms, ids)

    async def offer(self, files: Mapping[str, int]) -> list[tuple[PendingImport, str]]:
        """Offer files that nobody knew (path and size) to the rows whose file is missing."""
        return await self._database.write(offers.offer, files)

    async def relocate(self, pending_id: int, path: str, now_ms: int) -> PendingImport:
        """Give a row the path at which its file lies now."""
        return await self._database.write(offers.relocate, pending_id, path, now_ms)

    async def drop_pending(self, pending_id: int) -> None:
        """Delete a pending row."""
        await self._database.write(pending.drop_pending, pending_id)

    async def forget_unknown(self, pending_id: int) -> bool:
        """Delete a pending row if nothing is known but its path; tells whether it is gone."""
        return await self._database.write(pending.forget_unknown, pending_id)

    async def pending_details(self, pending_id: int) -> PendingDetails | None:
        """Return a pending row with the model that holds its content already."""
        return await self._database.read(details.pending_details, pending_id)

    # Locations

    async def location(self, path: str) -> Location | None:
        """Return the location of a path."""
        return await self._database.read(locations.location_of, path)

    async def locations_at(self, paths: Sequence[str]) -> dict[str, Location]:
        """Return the locations of these paths that the catalogue knows."""
        return await self._database.read(locations.locations_at, paths)

    async def locations_outside(self, folders: Sequence[str]) -> list[Location]:
        """Return every location that lies below none of these folders."""
        return await self._database.read(locations.locations_outside, folders)

    async def known_below(self, folder: str) -> tuple[list[Location], dict[str, PendingState]]:
        """Return the locations below a folder, and the paths below it that the queue holds."""
        return await self._database.read(_known_below, folder)

    async def failed_sizes_below(self, folder: str) -> dict[str, int]:
        """Return the paths below a folder whose rows failed, with the size that each file had then."""
        return await self._database.read(locations.failed_sizes_below, folder)

    async def put_off_at(self, paths: Sequence[str]) -> set[str]:
        """Return those of these paths whose row failed, or missed its file."""
        return await self._database.read(pending.put_off_at, paths)

    async def twins_of(self, fingerprints: Collection[Fingerprint]) -> dict[Fingerprint, list[Location]]:
        """Return, for each fingerprint, the hashed locations that have it."""
        return await self._database.read(locations.twins_of, fingerprints)

    async def claims(self, limit: int, without_paths: Collection[str] = ()) -> list[Location]:
        """Return present locations whose hash is a claim."""
        return await self._database.read(claims.claims, limit, without_paths)

    async def put_locations(self, places: Sequence[Location], now_ms: int) -> list[str]:
        """Write locations; returns, for each, the other content that lay there before, or empty."""
        return await self._database.write(_put_locations, places, now_ms)

    async def set_seen(self, seen: Mapping[str, Fingerprint], now_ms: int) -> None:
        """Note that these paths are present with these fingerprints."""
        await self._database.write(locations.set_seen, seen, now_ms)

    async def set_missing(self, paths: Sequence[str], reason: str, due_at: int) -> list[Location]:
        """Note that no file is at these paths; returns the locations that this changed."""
        return await self._database.write(_set_missing, paths, reason, due_at)

    async def lose_content(self, paths: Sequence[str]) -> list[Location]:
        """Note that the content known at paths lies there no more; returns the locations of which that is news."""
        return await self._database.write(locations.lose_content, paths)

    async def doubt(self, paths: Sequence[str], now_ms: int) -> None:
        """Note that files were touched in a way that may have changed their content: they are to be read again."""
        await self._database.write(locations.doubt, paths, now_ms)

    async def distrust(self, paths: Sequence[str]) -> None:
        """Note that whatever lies at these paths has to be read, now or later."""
        await self._database.write(locations.distrust, paths)

    async def set_unreachable(self, paths: Sequence[str]) -> list[Location]:
        """Note that the drive of these paths is not there; returns the locations that this changed."""
        return await self._database.write(locations.set_locations_unreachable, paths)

    async def set_state_below(
        self, folder: str, old: LocationState, new: LocationState, without: Sequence[str] = ()
    ) -> int:
        """Change the state of every location below a folder, and not below some others; returns how many."""
        return await self._database.write(locations.set_state_below, folder, old, new, without)

    async def move_paths(self, renames: Sequence[Rename], now_ms: int) -> list[Moved]:
        """Follow renames of files, in their order, in one transaction."""
        return await self._database.write(locations.move_paths, renames, now_ms)

    async def move_folder(self, old: str, new: str, now_ms: int) -> list[Moved]:
        """Follow the rename of a folder with everything that is known below it."""
        return await self._database.write(locations.move_folder, old, new, now_ms)

    async def mark_claims(
        self, looked_at: Mapping[Location, Fingerprint], now_ms: int
    ) -> dict[Location, Fingerprint]:
        """Note by which fingerprint the files of claims are known while they are read; returns those to be read."""
        return await self._database.write(claims.mark_claims, looked_at, now_ms)

    async def exchange_folders(self, one: str, other: str, now_ms: int) -> list[Moved]:
        """Follow two folders that changed places, with everything that is known below them."""
        return await self._database.write(locations.exchange_folders, one, other, now_ms)

    async def picture_to_follow(self, reading: Reading) -> ClaimedPicture | None:
        """Return the picture that has to follow a file when what was read refutes a claim on it."""
        return await self._database.read(claims.picture_to_follow, reading)

    async def judge_claims(
        self,
        reading: Reading,
        source: ClaimedPicture | None,
        picture: str,
        roots: Sequence[Root],
        now_ms: int,
        before_commit: Callable[[PendingImport], None],
    ) -> Judgement:
        """Hold what was read against the claims on that very file.

        `before_commit` gets the file's row inside the transaction to place the copied picture, if it takes it.
        """
        return await self._database.write(_judge_claims, reading, source, picture, roots, now_ms, before_commit)

    # Migrations and stage 1

    async def preview(self, order: MigrationOrder) -> Decision | None:
        """Return what a migration would do now, without its picture; None when the row is gone."""
        return await self._database.read(migrating.preview, order)

    async def migrate(
        self,
        orders: Sequence[MigrationOrder],
        finished: Sequence[str],
        now_ms: int,
        before_commit: migrating.BeforeCommit,
    ) -> list[MigrationResult]:
        """Carry out orders in one transaction; `before_commit` runs inside it, in the writer's thread."""
        return await self._database.write(migrating.migrate, orders, finished, now_ms, before_commit)

    async def act(
        self, order: ActOrder, finished: Sequence[str], now_ms: int, before_commit: acting.BeforeCommit
    ) -> ActPlan:
        """Carry out an act of the owner; `before_commit` runs inside its transaction, in the writer's thread."""
        return await self._database.write(acting.act, order, finished, now_ms, before_commit)

    async def committed_migrations(self) -> dict[str, JsonObject]:
        """Return the migrations that are committed and not yet known to be finished: id and what is left to do."""
        return await self._database.read(control.committed_migrations)

    async def landed_migrations(self, asked: Sequence[str]) -> set[str]:
        """Return which of these migrations are committed; the others never will be."""
        return await self._database.write(control.landed_migrations, asked)

    async def forget_migrations(self, finished: Sequence[str]) -> None:
        """Drop the ids of migrations whose end is durable in the journal."""
        await self._database.write(control.forget_migrations, finished)

    async def keep_places(self, kind: str, source: str, rows: Sequence[LegacyRow]) -> list[LegacyRow]:
        """Return the rows of a source, each with the path that it should have in view of earlier imports."""
        return await self._database.read(import_place.keep_places, kind, source, rows)

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
    ) -> list[TakenRow]:
        """Take the rows of a legacy source in one transaction; a dry run rolls everything back.

        `again`: also those that an earlier run took and the owner dropped since. `finished`: ids of earlier
        migrations whose end is in the journal; dropped once `before_commit` made it durable.
        """
        take = partial(importing.import_rows, again=again, finished=finished)
        return await self._database.write(_import_rows, take, kind, source, rows, now_ms, before_commit, dry_run)

    # Questions

    async def models(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the column's name
        q: str = "",
        tag: str = "",
        limit: int = 0,
        offset: int = 0,
    ) -> list[tuple[Model, int]]:
        """Return models by name, each with the number of its pictures."""
        return await self._database.read(models.list_models, type=type, q=q, tag=tag, limit=limit, offset=offset)

    async def model(self, sha256: str) -> ModelDetails | None:
        """Return a model with its pictures and locations."""
        return await self._database.read(details.model_details, sha256)

    async def model_by_path(self, path: str) -> Model | None:
        """Return the model whose file is, or last was, at a path."""
        return await self._database.read(models.get_model_by_path, path)

    async def find_models(self, text: str) -> list[Model]:
        """Return the models that a person may mean by a hash, a path or a name."""
        return await self._database.read(models.find_models, text)

    async def contents_at_several_paths(self) -> list[tuple[Model, list[Location]]]:
        """Return the models that are, or may be, at more than one path, each with all its locations."""
        return await self._database.read(duplicates.contents_at_several_paths)

    async def types(self) -> list[str]:
        """Return every type in use."""
        return await self._database.read(models.list_types)

    async def tags(self) -> list[Tag]:
        """Return every tag by name."""
        return await self._database.read(tags.list_tags)

    async def counts(self) -> dict[str, Any]:
        """Return the numbers of the status."""
        return await self._database.read(control.counts)

    async def waiting_bytes(self) -> int:
        """Return the sum of the sizes of the waiting rows."""
        return await self._database.read(pending.waiting_bytes)

    async def hashes_by_file_name(self) -> dict[str, str]:
        """Return the known hash of each file name (of one of them, where several files have the name)."""
        return await self._database.read(locations.hashes_by_file_name)

    async def pending_pictures(self) -> set[str]:
        """Return the base names under `images/pending/` that something refers to."""
        return await self._database.read(_pending_pictures)

    async def named_pictures(self, names: Collection[str]) -> set[str]:
        """Return those of these base names of published files that a picture's row stands for."""
        return await self._database.read(pictures.named_pictures, names)

    # The daemon's own memory

    async def is_paused(self) -> bool:
        """Tell whether the owner has paused the daemon."""
        return await self._database.read(control.is_paused)

    async def set_paused(self, paused: bool) -> None:
        """Remember whether the owner has paused the daemon."""
        await self._database.write(control.set_paused, paused)


def _import_rows(
    connection: sa.Connection,
    take: Callable[..., list[TakenRow]],
    kind: str,
    source: str,
    rows: Sequence[StagedRow],
    now_ms: int,
    before_commit: importing.BeforeCommit,
    dry_run: bool,
) -> list[TakenRow]:
    if not dry_run:
        return take(connection, kind, source, rows, now_ms, before_commit)
    savepoint = connection.begin_nested()
    try:
        return take(connection, kind, source, rows, now_ms, lambda _: None)
    finally:
        savepoint.rollback()


def _park(connection: sa.Connection, parked: Sequence[Parked]) -> list[Parked]:
    missing = [item.path for item in parked if item.state is PendingState.MISSING]
    if missing:
        locations.set_locations_missing(connection, missing)
    return pending.park(connection, offers.with_offers(connection, parked))


def _set_missing(connection: sa.Connection, paths: Sequence[str], reason: str, due_at: int) -> list[Location]:
    pending.set_rows_missing(connection, paths, reason, due_at)
    return locations.set_locations_missing(connection, paths)


def _known_below(connection: sa.Connection, folder: str) -> tuple[list[Location], dict[str, PendingState]]:
    return locations.locations_below(connection, folder), locations.pending_paths_below(connection, folder)


def _put_locations(connection: sa.Connection, places: Sequence[Location], now_ms: int) -> list[str]:
    return [locations.put_location(connection, place, now_ms) for place in places]


def _judge_claims(
    connection: sa.Connection,
    reading: Reading,
    source: ClaimedPicture | None,
    picture: str,
    roots: Sequence[Root],
    now_ms: int,
    before_commit: Callable[[PendingImport], None],
) -> Judgement:
    judgement = claims.judge_claims(connection, reading, source, picture, roots, now_ms)
    if judgement.takes_picture and judgement.row is not None:
        before_commit(judgement.row)
    return judgement


def _pending_pictures(connection: sa.Connection) -> set[str]:
    return pending.image_names(connection) | pictures.refused_names(connection)
