"""Follow renames: what is known of a file goes along to its new path, with its row of the queue."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.catalogue.dialect import below
from modelkeep.catalogue.store.bulk import all_rows
from modelkeep.catalogue.store.locations import fingerprint_values, location_of
from modelkeep.catalogue.store.models import choose_main_paths
from modelkeep.catalogue.store.statements import carry_over, statements_at
from modelkeep.catalogue.tables import locations, models, pending_import
from modelkeep.domain.detection import Moved, Rename, between
from modelkeep.domain.values import Location, LocationState


def move_paths(connection: sa.Connection, renames: Iterable[Rename], now_ms: int) -> list[Moved]:
    """Follow renames of files: their locations, pending rows and the main paths of their models go with them.

    Args:
        connection: the writer's connection.
        renames: in the order in which they happened.
        now_ms: time of the transaction.
    """
    return [_move_path(connection, rename, now_ms) for rename in renames]


def _move_path(connection: sa.Connection, rename: Rename, now_ms: int) -> Moved:
    old, new, expected_sha256 = rename.old, rename.new, rename.expected_sha256
    location = location_of(connection, old)
    held = (location.sha256, location.fingerprint) if location is not None else ("", None)
    if old == new or not rename.concerns(*held):
        return Moved(old, new)
    displaced = location_of(connection, new)
    if displaced is not None and rename.seen is not None and displaced.tells_of(rename.seen):
        # That very file was read since: what it was read to hold before is where it is known to have been.
        location = location if location is not None and location.sha256 == displaced.sha256 else None
    said = statements_at(connection, new)
    if location is not None:
        connection.execute(sa.delete(locations).where(locations.c.path == new))
        touched = _touched_values(rename, location)
        values = {"path": new, "last_seen": now_ms, "state": LocationState.PRESENT, **touched}
        connection.execute(sa.update(locations).where(locations.c.path == old).values(values))
        connection.execute(
            sa.update(models).where(models.c.sha256 == location.sha256, models.c.path == old).values(path=new)
        )
    stays = rename.is_replaced and not _is_verified(connection, old, expected_sha256)
    pending_id = 0 if stays else _move_pending(connection, old, new)
    other = (
        displaced.sha256
        if displaced is not None and location is not None and displaced.sha256 != location.sha256
        else ""
    )
    choose_main_paths(connection, [sha256 for sha256 in (location.sha256 if location else "", other) if sha256])
    if location is not None:
        pending_id = carry_over(connection, new, said, now_ms) or pending_id
    return Moved(old, new, location.sha256 if location else "", pending_id, other)


def _touched_values(rename: Rename, location: Location) -> dict[str, object]:
    if rename.is_doubtful:
        return {"doubted": True}
    # Another file than was looked at may be known there by now.
    is_it = rename.seen is not None and rename.seen.same_file_at_same_path(location.fingerprint)
    return dict(fingerprint_values(rename.seen)) if is_it else {}


def move_folder(connection: sa.Connection, old: str, new: str, now_ms: int) -> list[Moved]:
    """Follow the rename of a folder with everything that the catalogue knows below it."""
    hashes = _known_below(connection, locations.c.path, locations.c.sha256, old)
    queued = _known_below(connection, pending_import.c.path, pending_import.c.id, old)
    paths = {path: new + path[len(old) :] for path in sorted({*hashes, *queued})}
    if not _is_free(connection, new):
        return move_paths(connection, [Rename(*names) for names in paths.items()], now_ms)
    _move_below(connection, old, new)
    return [Moved(path, to, hashes.get(path, ""), queued.get(path, 0)) for path, to in paths.items()]


def exchange_folders(connection: sa.Connection, one: str, other: str, now_ms: int) -> list[Moved]:
    """Follow two folders that changed places, with everything that the catalogue knows below them."""
    begun = move_folder(connection, other, between(one), now_ms)
    moved = move_folder(connection, one, other, now_ms)
    ended = {move.old: move.new for move in move_folder(connection, between(one), one, now_ms)}
    return [*moved, *(replace(move, new=ended[move.new]) for move in begun)]


def _is_free(connection: sa.Connection, folder: str) -> bool:
    return not any(
        connection.execute(sa.select(sa.literal(1)).where(below(column, folder)).limit(1)).first()
        for column in (locations.c.path, pending_import.c.path)
    )


def _known_below(
    connection: sa.Connection, path: sa.Column[str], value: sa.Column[Any], folder: str
) -> dict[str, Any]:
    return dict(all_rows(connection, sa.select(path, value).where(below(path, folder))))


def _move_below(connection: sa.Connection, old: str, new: str) -> None:
    """Rewrite the prefix in three statements: nothing the catalogue knows lies below the new name."""
    for column in (locations.c.path, pending_import.c.path, models.c.path):
        rewritten = sa.literal(storable_path(new)) + sa.func.substr(column, len(storable_path(old)) + 1)
        values: dict[str, object] = {"path": rewritten}
        connection.execute(sa.update(column.table).where(below(column, old)).values(values))


def _is_verified(connection: sa.Connection, path: str, sha256: str | None) -> bool:
    """Return whether the row of a path is about a content that its file was read to have."""
    chosen = sa.and_(pending_import.c.path == path, pending_import.c.verified, pending_import.c.sha256 == sha256)
    return connection.execute(sa.select(pending_import.c.id).where(chosen)).first() is not None


def _move_pending(connection: sa.Connection, old: str, new: str) -> int:
    """Follow a rename in the queue; returns the id of the row that moved, or 0."""
    row = connection.execute(sa.select(pending_import.c.id).where(pending_import.c.path == old)).scalar_one_or_none()
    if row is None:
        return 0
    target = connection.execute(
        sa.select(pending_import.c.id, pending_import.c.source).where(pending_import.c.path == new)
    ).one_or_none()
    if target is not None:
        if target.source != "watch":
            # Two descriptions meet at one path: the one that was there stays, the moved one waits where it was.
            return 0
        connection.execute(sa.delete(pending_import).where(pending_import.c.id == target.id))
    connection.execute(sa.update(pending_import).where(pending_import.c.id == row).values(path=new))
    return int(row)
