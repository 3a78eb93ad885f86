"""Locations: at which paths a content is, or was."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.columns import signed
from modelkeep.catalogue.dialect import among, below, gaps, upsert, within
from modelkeep.catalogue.store.bulk import Bulk, all_rows
from modelkeep.catalogue.store.models import choose_main_paths
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.store.statements import carry_over, statements_at
from modelkeep.catalogue.tables import locations, pending_import
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.naming import Span
from modelkeep.domain.values import Location, LocationState, PendingState

_ROWS = RowsOf(locations, Location)
_FINGERPRINTS = RowsOf(locations, Fingerprint)
_NO_FINGERPRINT: Mapping[str, Any] = dict.fromkeys(column.name for column in _FINGERPRINTS.columns)
_SELECT = sa.select(*_FINGERPRINTS.columns, *_ROWS.columns)
_PUT = Bulk(upsert(locations))


def location_of(connection: sa.Connection, path: str) -> Location | None:
    """Return the location of a path."""
    row = connection.execute(_SELECT.where(locations.c.path == path)).one_or_none()
    return _location(row) if row else None


def locations_of(connection: sa.Connection, sha256: str) -> list[Location]:
    """Return every path of a content, the longest known first."""
    query = _SELECT.where(locations.c.sha256 == sha256).order_by(locations.c.first_seen, locations.c.path)
    return [_location(row) for row in connection.execute(query)]


def locations_of_all(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[Location]]:
    """Return every path of each of these contents, the longest known first."""
    found: dict[str, list[Location]] = {}
    query = _SELECT.where(among(locations.c.sha256, hashes)).order_by(locations.c.first_seen, locations.c.path)
    for row in connection.execute(query).all() if hashes else ():
        found.setdefault(row.sha256, []).append(_location(row))
    return found


def locations_at(connection: sa.Connection, paths: Sequence[str]) -> dict[str, Location]:
    """Return the locations of these paths that the catalogue knows."""
    query = _SELECT.where(among(locations.c.path, paths))
    return {row.path: _location(row) for row in connection.execute(query).all()}


def locations_below(connection: sa.Connection, folder: str) -> list[Location]:
    """Return every location below a folder."""
    return locations_within(connection, Span.below(folder))


def locations_within(connection: sa.Connection, span: Span) -> list[Location]:
    """Return every location in a span of paths."""
    return [_location(row) for row in connection.execute(_SELECT.where(within(locations.c.path, span)))]


def known_below(connection: sa.Connection, folder: str) -> tuple[list[Location], dict[str, PendingState]]:
    """Return the locations below a folder, and the paths below it that the queue holds."""
    queued = {path: state for path, state, _ in queued_within(connection, Span.below(folder))}
    return locations_below(connection, folder), queued


def locations_outside(
    connection: sa.Connection, folders: Sequence[str], after: str = "", most: int | None = None
) -> list[Location]:
    """Return locations that lie below none of these folders, in the order of their paths.

    Args:
        connection: a connection in a transaction.
        folders: absolute paths.
        after: the path that comes before the first one.
        most: how many at most; None for all.
    """
    found: list[Location] = []
    for gap in gaps(locations.c.path, folders):
        query = _SELECT.where(gap, locations.c.path > after).order_by(locations.c.path)
        left = most - len(found) if most is not None else None
        found += [_location(row) for row in connection.execute(query.limit(left))]
    return found


def queued_within(connection: sa.Connection, span: Span) -> Iterator[tuple[str, PendingState, int]]:
    """Yield the paths in a span that the queue holds, with the state of each row, and the size that its file had."""
    columns = (pending_import.c.path, pending_import.c.state, pending_import.c.size_bytes)
    for path, state, size_bytes in all_rows(connection, sa.select(*columns).where(within(columns[0], span))):
        yield path, PendingState(state), size_bytes


def twins_of(connection: sa.Connection, fingerprints: Collection[Fingerprint]) -> dict[Fingerprint, list[Location]]:
    """Return, for each fingerprint, the hashed locations of that file, which may have been touched since."""
    found: dict[Fingerprint, list[Location]] = {}
    wanted: dict[tuple[int, ...], list[Fingerprint]] = {}
    for fingerprint in fingerprints:
        wanted.setdefault(_file_key(fingerprint), []).append(fingerprint)
    inodes = sorted({signed(inode) for _, inode, *_ in wanted})
    sizes = sorted({size_bytes for _, _, size_bytes, _ in wanted})  # some file systems give all files one inode
    chosen = sa.and_(among(locations.c.inode, inodes), among(locations.c.size_bytes, sizes))
    query = _SELECT.where(chosen, sa.not_(locations.c.claimed))
    for location in map(_location, connection.execute(query)):
        known = location.fingerprint
        for fingerprint in wanted.get(_file_key(known), ()) if known is not None else ():
            if fingerprint.same_file_at_same_path(known):
                found.setdefault(fingerprint, []).append(location)
    return found


def _file_key(fingerprint: Fingerprint) -> tuple[int, int, int, int]:
    return (fingerprint.device, fingerprint.inode, fingerprint.size_bytes, fingerprint.mtime_ns)


def hashes_by_file_name(connection: sa.Connection) -> dict[str, str]:
    """Return the known hash of each file name (of one of them, where several files have the name)."""
    rows = connection.execute(sa.select(locations.c.path, locations.c.sha256))
    return {row.path.rsplit("/", 1)[-1]: row.sha256 for row in rows}


def put_location(connection: sa.Connection, location: Location, now_ms: int) -> str:
    """Write the location of a path; returns the other content that lay there before, or empty."""
    return _put_over(connection, location, location_of(connection, location.path), now_ms)


def _put_over(connection: sa.Connection, location: Location, before: Location | None, now_ms: int) -> str:
    displaced = before.sha256 if before is not None and before.sha256 != location.sha256 else ""
    first_seen = before.first_seen if before is not None and not displaced else location.first_seen
    said = statements_at(connection, location.path) if displaced else []
    put_locations(connection, [replace(location, first_seen=first_seen)], now_ms)
    carry_over(connection, location.path, said, now_ms)
    choose_main_paths(connection, [location.sha256, *([displaced] if displaced else [])])
    return displaced


def put_each(connection: sa.Connection, locations: Sequence[Location], now_ms: int) -> list[str | None]:
    """Write locations one by one; returns, for each, the other content that lay there before, or empty.

    Where that very file was read to hold another one, that stays: a migration may end between a look and this. Tells
    of it as None.
    """
    displaced: list[str | None] = []
    for location in locations:
        held = location_of(connection, location.path)
        is_kept = held is not None and _is_read_otherwise(held, location)
        displaced.append(None if is_kept else _put_over(connection, location, held, now_ms))
    return displaced


def _is_read_otherwise(held: Location, location: Location) -> bool:
    status = location.fingerprint
    return status is not None and held.sha256 != location.sha256 and held.tells_of(status)


def put_locations(connection: sa.Connection, locations: Sequence[Location], now_ms: int) -> None:
    """Write locations over those of the same paths; the main paths of their models are the caller's to choose."""
    seen = {
        "first_seen": [location.first_seen or now_ms for location in locations],
        "last_seen": [location.last_seen or now_ms for location in locations],
    }
    known = _FINGERPRINTS.columns_of(location.fingerprint for location in locations)
    _PUT.run_columns(connection, _ROWS.columns_of(locations) | known | seen)


def set_seen(connection: sa.Connection, seen: Mapping[str, Fingerprint], now_ms: int) -> None:
    """Record that these paths are present with these fingerprints."""
    _set_seen(connection, seen, locations_at(connection, list(seen)).values(), now_ms)


def _set_seen(
    connection: sa.Connection, seen: Mapping[str, Fingerprint], known: Iterable[Location], now_ms: int
) -> None:
    rows = [
        {"b_path": path, **fingerprint_values(fingerprint), "b_now": now_ms} for path, fingerprint in seen.items()
    ]
    if not rows:
        return
    values: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in _FINGERPRINTS.columns}
    connection.execute(
        sa.update(locations)
        .where(locations.c.path == sa.bindparam("b_path"))
        .values(**values, state=LocationState.PRESENT, last_seen=sa.bindparam("b_now")),
        rows,
    )
    choose_main_paths(connection, sorted({location.sha256 for location in known}))


def see_again(connection: sa.Connection, seen: Mapping[str, Fingerprint], now_ms: int) -> list[str]:
    """Record that known files are there, with these fingerprints, which say that they are the same.

    Returns the paths at which another file is known by now: a migration may end between a look and this.
    """
    same, others = _same_files(connection, seen)
    _set_seen(connection, {place.path: seen[place.path] for place in same}, same, now_ms)
    return others


def doubt(connection: sa.Connection, seen: Mapping[str, Fingerprint], now_ms: int) -> list[str]:
    """Record that known files are there and may hold something else: they are to be read again.

    Returns the paths at which another file is known by now, as `see_again` does.
    """
    same, others = _same_files(connection, seen)
    values = {"doubted": True, "state": LocationState.PRESENT, "last_seen": now_ms}
    chosen = among(locations.c.path, [place.path for place in same])
    connection.execute(sa.update(locations).where(chosen).values(values))
    choose_main_paths(connection, sorted({place.sha256 for place in same}))
    return others


def _same_files(connection: sa.Connection, seen: Mapping[str, Fingerprint]) -> tuple[list[Location], list[str]]:
    """Return what is known of files at their paths, and the paths at which another file is known, or nothing."""
    known = locations_at(connection, list(seen))
    same = {
        path: place
        for path, place in known.items()
        # The file of a claim is whichever lies there: nobody has read it.
        if place.claimed or place.fingerprint is None or seen[path].same_file_at_same_path(place.fingerprint)
    }
    return list(same.values()), [path for path in seen if path not in same]


def distrust(connection: sa.Connection, paths: Sequence[str]) -> None:
    """Record that what lies at these paths, now or later, has to be read, though its times are those of before."""
    connection.execute(sa.update(locations).where(among(locations.c.path, paths)).values(doubted=True))


def forget_location(connection: sa.Connection, path: str) -> None:
    """Take a path from its model, which keeps everything else."""
    before = location_of(connection, path)
    connection.execute(sa.delete(locations).where(locations.c.path == path))
    if before is not None:
        choose_main_paths(connection, [before.sha256])


def set_locations_missing(connection: sa.Connection, paths: Sequence[str]) -> list[Location]:
    """Record that no file is at these paths; returns the locations that this changed."""
    return _set_state(connection, paths, LocationState.MISSING)


def lose_content(connection: sa.Connection, known: Sequence[Location]) -> list[Location]:
    """Record that what lies at paths is no longer what it was; returns the locations that this changed.

    What was migrated or moved there since they were `known` is not what was looked at, and stays.
    """
    held = locations_at(connection, [location.path for location in known])
    paths = [location.path for location in known if held.get(location.path) == location]
    distrust(connection, paths)
    return set_locations_missing(connection, paths)


def set_locations_unreachable(connection: sa.Connection, paths: Sequence[str]) -> list[Location]:
    """Record that it is unknown what is at these paths; returns the locations that this changed."""
    return _set_state(connection, paths, LocationState.UNREACHABLE)


def _set_state(connection: sa.Connection, paths: Sequence[str], state: LocationState) -> list[Location]:
    changed = [location for location in locations_at(connection, paths).values() if location.state is not state]
    if changed:
        chosen = among(locations.c.path, [location.path for location in changed])
        connection.execute(sa.update(locations).where(chosen).values(state=state))
    choose_main_paths(connection, sorted({location.sha256 for location in changed}))
    return changed


def set_state_below(
    connection: sa.Connection, folder: str, old: LocationState, new: LocationState, without: Sequence[str] = ()
) -> int:
    """Change the state of every location below a folder, and not below some others; returns how many."""
    left_out = [sa.not_(below(locations.c.path, inner)) for inner in without]
    chosen = sa.and_(below(locations.c.path, folder), locations.c.state == old, *left_out)
    hashes = connection.execute(sa.select(locations.c.sha256).where(chosen).distinct())
    concerned = sorted(hashes.scalars())
    count = connection.execute(sa.update(locations).where(chosen).values(state=new)).rowcount
    choose_main_paths(connection, concerned)
    return count


def fingerprint_values(fingerprint: Fingerprint | None) -> Mapping[str, Any]:
    """Return the columns of a fingerprint."""
    return _NO_FINGERPRINT if fingerprint is None else _FINGERPRINTS.row(fingerprint)


def location_values(location: Location, now_ms: int) -> dict[str, object]:
    """Return a location's columns; what was said of its file stays with its claim alone."""
    return {
        **_ROWS.row(location),
        **fingerprint_values(location.fingerprint),
        "first_seen": location.first_seen or now_ms,
        "last_seen": location.last_seen or now_ms,
    }


def _location(row: sa.Row[*tuple[Any, ...]]) -> Location:
    # By position, in the order of the fields: a scan reads every row.
    path, sha256, state, *others = row[len(_FINGERPRINTS.columns) :]
    known = None if row.mtime_ns is None else Fingerprint(*row[: len(_FINGERPRINTS.columns)])
    return Location(path, sha256, LocationState(state), known, *others)
