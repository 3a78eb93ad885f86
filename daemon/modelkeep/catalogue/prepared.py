"""Rows of a legacy source in a file of their own, as the tables will hold them.

Whoever reads the source makes the file, in its own process; stage 1 takes the rows into the tables by a few
statements (`store/import_prepared.py`). Nobody but the daemon that had it made reads it, and it need not last.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelkeep.catalogue.bare_sqlite import storable_path, write_tables
from modelkeep.domain.claims import Statement
from modelkeep.domain.json_text import json_text
from modelkeep.domain.legacy import LegacyRow
from modelkeep.domain.naming import suggested_name

ROWS = (
    *("number", "row_key", "digest", "path", "claim", "name", "model_name", "type", "base"),
    *("size_bytes", "created_at", "meta_json", "said_before", "said_after", "tag_set"),
)
"""Columns: `number` counts from 1 in the order of the source, `said_before` and `said_after` are the statement of a
row with a hash around the ids of its tags, `tag_set` is one of those in the second table."""

TAGS = ("tag_set", "name")

_NO_TAGS = '"tags": []'


def prepare(path: Path, kind: str, rows: Sequence[LegacyRow], known: Collection[str] = ()) -> bool:
    """Make the file of those rows that are new and have no image; returns whether there are any.

    Args:
        path: of the file.
        kind: of the source.
        rows: all of the source, in its order.
        known: digests of rows that were taken before.
    """
    fresh = [(number, row) for number, row in enumerate(rows, start=1) if not row.image and row.digest not in known]
    if fresh:
        _write(path, kind, fresh)
    return bool(fresh)


def _write(path: Path, kind: str, rows: Iterable[tuple[int, LegacyRow]]) -> None:
    sets: dict[tuple[str, ...], int] = {}
    write_tables(path, {"rows": (ROWS, _values(kind, rows, sets)), "tags": (TAGS, _named(sets))})


def _named(sets: Mapping[tuple[str, ...], int]) -> Iterator[tuple[Any, ...]]:
    """Yield the names of each set; only when it is asked is known which there are."""
    for names, number in sets.items():
        for name in names:
            yield number, storable_path(name)


def _values(
    kind: str, rows: Iterable[tuple[int, LegacyRow]], sets: dict[tuple[str, ...], int]
) -> Iterator[tuple[Any, ...]]:
    for number, row in rows:
        tags = tuple(sorted({tag.name for tag in row.tags}))
        texts = (row.key, row.digest, row.path, row.claim, row.name, row.name or suggested_name(row.path))
        yield (
            number,
            *map(storable_path, texts),
            storable_path(row.type),
            storable_path(row.base),
            row.size_bytes,
            row.created_at,
            json_text(row.meta),
            *(_said(kind, row) if row.claim else ("", "")),
            sets.setdefault(tags, len(sets)),
        )


def _said(kind: str, row: LegacyRow) -> tuple[str, str]:
    """Return what is kept with the location of a row until its file is read, without the ids of its tags."""
    said = json.dumps([Statement(row.claim, kind, **row.description).as_json()])
    before, _, after = said.rpartition(_NO_TAGS)
    return f"{before}{_NO_TAGS[:-1]}", f"]{after}"
