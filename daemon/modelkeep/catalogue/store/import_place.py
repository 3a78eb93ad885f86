"""Stage 1 again: a row that no `--map` is given for stays where an earlier run put it, if it means the same file."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile

import sqlalchemy as sa

from modelkeep.base.collector import collector_paused
from modelkeep.catalogue.store.bulk import all_rows
from modelkeep.catalogue.tables import imported_rows
from modelkeep.domain.legacy import LegacyRow

Prefixes = tuple[str, str]
"""What the old and the new path begin with, before what they have in common."""


def imported_digests(connection: sa.Connection, kind: str) -> frozenset[str]:
    """Return the digests of all rows that were taken from sources of a kind."""
    query = sa.select(imported_rows.c.digest).where(imported_rows.c.kind == kind)
    return frozenset(digest for (digest,) in all_rows(connection, query))


@collector_paused()
def keep_places(connection: sa.Connection, kind: str, source: str, rows: Sequence[LegacyRow]) -> list[LegacyRow]:
    """Return the rows of a source, each with the path that it should have in view of earlier runs."""
    columns = imported_rows.c
    query = sa.select(columns.row_key, columns.digest, columns.path)
    found = all_rows(connection, query.where(columns.kind == kind, columns.source == source))
    earlier = {key: (digest, path) for key, digest, path in found}
    nowhere = ("", "")
    elsewhere = [
        (row, digest, path)
        for row in rows
        for digest, path in (earlier.get(row.key, nowhere),)
        if path and path != row.path and not row.is_mapped
    ]
    # The digest covers the path in the source: where it is the same, an earlier `--map` made the difference.
    maps = {prefixes(row.path, path) for row, digest, path in elsewhere if digest == row.digest}
    kept = {row.key: path for row, digest, path in elsewhere if stays(row, digest, path, maps)}
    return [replace(row, path=kept[row.key]) if row.key in kept else row for row in rows]


def stays(row: LegacyRow, digest: str, path: str, maps: Iterable[Prefixes]) -> bool:
    """Return whether a row that no `--map` was given for now stays at the path that an earlier run gave it.

    Args:
        row: as the source says it now.
        digest: of what the source said then.
        path: where the row was put then.
        maps: the prefixes that earlier runs rewrote, as far as unchanged rows show them.
    """
    if digest == row.digest:
        return True
    # Something changed: only when the path in the source did, the earlier place says nothing any more.
    known = set(maps)
    old, new = prefixes(row.path, path)
    return (old, new) in known if known else row.path.rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1]


def prefixes(old: str, new: str) -> Prefixes:
    """Return two paths without the parts at their ends that they have in common."""
    parts, other = old.split("/"), new.split("/")
    common = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(parts), reversed(other), strict=False))
    )
    return "/".join(parts[: len(parts) - common]), "/".join(other[: len(other) - common])
