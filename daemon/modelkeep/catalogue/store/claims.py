"""Judge claims and doubts: what was read of a file against the hashes that are held for it.

What an older database said of the file is kept with the claimed location until then. It is known under the claimed
hash at once, and stays there; when the file refutes the hash, it follows the file as well. What is known of a content
that was read from a file stays with that content, should the file turn out to hold another by now.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.dialect import below, is_set
from modelkeep.catalogue.store.images import images_of
from modelkeep.catalogue.store.locations import (
    fingerprint_values,
    forget_location,
    location_of,
    locations_at,
    locations_of,
    set_seen,
)
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.pending import detect, get_pending, get_pending_by_path, insert_pending, update_pending
from modelkeep.catalogue.store.statements import forget_statements, statements_at
from modelkeep.catalogue.store.tags import tag_pending
from modelkeep.catalogue.tables import contents, locations, models, tags
from modelkeep.domain.claims import ClaimedImage, Judgement, Marked, Reading, Statement
from modelkeep.domain.detection import Found
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.naming import Root
from modelkeep.domain.planning import join
from modelkeep.domain.values import Location, LocationState, PendingImport

BeforeCommit = Callable[[PendingImport], None]


def claims(
    connection: sa.Connection, limit: int, without_paths: Collection[str] = (), folders: Collection[str] = ("/",)
) -> list[Location]:
    """Return present locations below folders whose hash waits to be confirmed: it is a claim, or doubted."""
    query = sa.union(*(_present(folders).where(is_set(flag)) for flag in (locations.c.claimed, locations.c.doubted)))
    with connection.execute(query.order_by("path")) as found:  # no further than they are wanted
        paths = list(islice((path for path in found.scalars() if path not in without_paths), limit))
    places = locations_at(connection, paths)
    return [places[path] for path in paths]


def unread_contents(
    connection: sa.Connection, limit: int, without_paths: Collection[str] = (), folders: Collection[str] = ("/",)
) -> list[Location]:
    """Return present locations below folders, one for each content of which something was not read yet.

    Args:
        connection: any.
        limit: no more than so many.
        without_paths: those that were tried; another location of the same content is returned then.
        folders: these, and all below them.
    """
    incomplete = sa.or_(contents.c.sha256.is_(None), contents.c.tensors.is_(None))
    query = (
        _present(folders)
        .add_columns(locations.c.sha256)
        .join(contents, contents.c.sha256 == locations.c.sha256, isouter=True)
        .where(incomplete, sa.not_(locations.c.claimed), sa.not_(locations.c.doubted))
        .order_by(locations.c.path)
    )
    paths: list[str] = []
    seen: set[str] = set()
    with connection.execute(query) as found:
        for path, sha256 in found:
            if sha256 not in seen and path not in without_paths:
                paths.append(path)
                seen.add(sha256)
            if len(paths) == limit:
                break
    places = locations_at(connection, paths)
    return [places[path] for path in paths]


def _present(folders: Collection[str]) -> sa.Select[Any]:
    below_any = sa.or_(sa.false(), *(below(locations.c.path, folder) for folder in folders))
    return sa.select(locations.c.path).where(locations.c.state == LocationState.PRESENT, below_any)


def mark_claims(connection: sa.Connection, looked_at: Mapping[Location, Fingerprint], now_ms: int) -> Marked:
    """Record by which fingerprint the files of claims are known while they are read; returns those that are to be.

    One whose file is another since it was seen is left out: the intake takes care of that.
    """
    held = locations_at(connection, [location.path for location in looked_at])
    outdated = [location.path for location in looked_at if held.get(location.path) != location]
    wanted = {
        location: fingerprint
        for location, fingerprint in looked_at.items()
        if held.get(location.path) == location
        and (location.fingerprint is None or fingerprint.same_file_at_same_path(location.fingerprint))
    }
    unseen = {location.path: fingerprint for location, fingerprint in wanted.items() if location.fingerprint is None}
    set_seen(connection, unseen, now_ms)
    return Marked(wanted, outdated)


def image_to_follow(connection: sa.Connection, reading: Reading) -> ClaimedImage | None:
    """Return the published image that has to follow a file when what was read refutes a claim on it."""
    place = _claimed_place(connection, reading)
    if place is None:
        return None
    for statement in _refuted(connection, place, reading.found):
        for image in images_of(connection, statement.claim):
            if statement.image == image.source_digest:
                return ClaimedImage(statement.claim, image.seq)
    return None


def judge_claims(
    connection: sa.Connection,
    reading: Reading,
    source: ClaimedImage | None,
    image: str,
    roots: Sequence[Root],
    now_ms: int,
    before_commit: BeforeCommit,
) -> Judgement:
    """Hold what was read against the claims on that very file, or the doubt about it.

    Args:
        connection: the writer's connection.
        reading: what was read, and who asked.
        source: the image that was copied to follow the file.
        image: ending of the copy, empty when there is none.
        roots: the configured roots.
        now_ms: time of the transaction.
        before_commit: gets the file's row inside the transaction to place the copied image, if it takes it.
    """
    location = _claimed_place(connection, reading)
    if location is None:
        return Judgement(reading.path)
    if image_to_follow(connection, reading) != source:
        return Judgement(location.path, is_outdated=True)
    said = statements_at(connection, location.path)
    refuted = _refuted(connection, location, reading.found)
    claimed = {*([location.sha256] if location.claimed else []), *(statement.claim for statement in said)}
    # Who reads a known file again, for what was not read then, may find that it was written where nobody saw it.
    is_wrong = location.sha256 != reading.found and not (location.is_read and reading.pending_id)
    wrong_claim = [location.sha256] if is_wrong and location.claimed else []
    hashes = dict.fromkeys([*wrong_claim, *(statement.claim for statement in refuted)])
    displaced = location.sha256 if is_wrong and not location.claimed else ""
    if is_wrong:
        forget_location(connection, location.path)
    elif not location.is_read:
        _confirm(connection, location.path, reading.fingerprint, now_ms)
    else:
        forget_statements(connection, location.path)
    confirmed = reading.found if reading.found in claimed else ""
    if not (hashes or displaced):
        return Judgement(location.path, confirmed)
    row, takes_image = _queue(connection, location.path, refuted, reading, image, roots, now_ms)
    if takes_image:
        before_commit(row)
    return Judgement(location.path, confirmed, tuple(hashes), displaced, row, takes_image)


def _claimed_place(connection: sa.Connection, reading: Reading) -> Location | None:
    """Return the claimed or doubted location that what was read is about, wherever its file was renamed to."""
    if reading.pending_id:
        row = get_pending(connection, reading.pending_id)
        location = location_of(connection, reading.path) if row is not None and row.path == reading.path else None
        is_concerned = location is not None and (
            not location.is_read or bool(statements_at(connection, location.path))
        )
        return location if is_concerned else None
    found = [
        location
        for location in locations_of(connection, reading.claim)
        if not (location.is_read and reading.found == location.sha256)
        and reading.fingerprint.same_file_at_same_path(location.fingerprint)
    ]
    return next((location for location in found if location.path == reading.path), next(iter(found), None))


def _refuted(connection: sa.Connection, location: Location, found: str) -> list[Statement]:
    """Return what was said with hashes that the file does not have."""
    said = statements_at(connection, location.path)
    if location.claimed and all(statement.claim != location.sha256 for statement in said):
        said = [*_said_of_only_file(connection, location), *said]
    return [statement for statement in said if statement.claim != found]


def _said_of_only_file(connection: sa.Connection, location: Location) -> list[Statement]:
    """Return what a model knows that no other file is known to be: older catalogues kept no statements."""
    model = get_model(connection, location.sha256)
    others = (other for other in locations_of(connection, location.sha256) if other.path != location.path)
    if model is None or not all(other.claimed for other in others):
        return []
    images = [image.source_digest for image in images_of(connection, location.sha256)]
    return [
        Statement(
            location.sha256,
            **model.description,
            tags=tuple(tag.id for tag in model.tags),
            image=next(iter(images), ""),
        )
    ]


def _queue(
    connection: sa.Connection,
    path: str,
    refuted: Sequence[Statement],
    reading: Reading,
    image: str,
    roots: Sequence[Root],
    now_ms: int,
) -> tuple[PendingImport, bool]:
    """Have the row of a file say what was said with refuted claims; returns whether it takes the copied image."""
    size_bytes = reading.fingerprint.size_bytes
    held = get_pending_by_path(connection, path)
    if not refuted:
        return held or detect(connection, [Found(path, size_bytes)], roots, now_ms)[0][0], False
    row = held if held is not None and not held.knows_nothing else None
    for statement in refuted:
        fresh = statement.as_row(path, size_bytes, now_ms)
        row = fresh if row is None else join(statement.kind, row, fresh)
    assert row is not None  # noqa: S101 - there is a statement
    row = row.evolve(sha256=reading.found, verified=True)
    row = row.evolve(id=held.id if held is not None else insert_pending(connection, row))
    takes_image = bool(image) and not row.image
    if takes_image:
        row = row.evolve(image=f"{row.id}{image}")
    update_pending(connection, row)
    tag_pending(connection, row.id, _existing(connection, [tag for said in refuted for tag in said.tags]))
    return get_pending(connection, row.id) or row, takes_image


def _existing(connection: sa.Connection, tag_ids: Sequence[int]) -> list[int]:
    """Leave out tags that were deleted meanwhile."""
    return list(connection.execute(sa.select(tags.c.id).where(tags.c.id.in_(sorted(set(tag_ids))))).scalars())


def _confirm(connection: sa.Connection, path: str, fingerprint: Fingerprint, now_ms: int) -> None:
    """Record that the file at a path has the hash that was claimed or doubted; its size is known for certain now."""
    location = location_of(connection, path)
    if location is not None:
        sized = sa.update(models).where(models.c.sha256 == location.sha256)
        connection.execute(sized.values(size_bytes=fingerprint.size_bytes))
    settled = {"claimed": False, "doubted": False, "said_json": "[]"}
    connection.execute(sa.update(locations).where(locations.c.path == path).values(settled))
    others = [] if location is None else _other_names(connection, location, fingerprint)
    set_seen(connection, dict.fromkeys([path, *others], fingerprint), now_ms)


def _other_names(connection: sa.Connection, location: Location, fingerprint: Fingerprint) -> list[str]:
    """Believe the other names of a file that was read: they need no reading of their own. Returns them."""
    known = {name: value for name, value in fingerprint_values(fingerprint).items() if name != "ctime_ns"}
    chosen = sa.and_(
        locations.c.sha256 == location.sha256,
        locations.c.doubted,
        sa.not_(locations.c.claimed),
        locations.c.state == LocationState.PRESENT,
        *(locations.c[name] == value for name, value in known.items()),
    )
    names = list(connection.execute(sa.select(locations.c.path).where(chosen)).scalars())
    connection.execute(sa.update(locations).where(chosen).values(doubted=False))
    return names
