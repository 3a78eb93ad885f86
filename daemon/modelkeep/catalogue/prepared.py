"""Rows of a legacy source in a file of their own, as the tables will hold them.

Whoever reads the source makes the file while it is read, in its own process; stage 1 takes the rows into the tables
by a few statements (`store/import_prepared.py`). Nobody but the daemon that had it made reads it; it need not last.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import fields
from json.encoder import encode_basestring_ascii as _in_ascii
from pathlib import Path
from typing import Any

from modelkeep.base.portions import in_portions
from modelkeep.catalogue.bare_sqlite import insert, new_tables, read_set, storable_path
from modelkeep.domain.claims import Statement
from modelkeep.domain.json_text import json_text
from modelkeep.domain.legacy import LegacyRow, LegacyTag
from modelkeep.domain.naming import suggested_name

ROWS = (
    *("number", "row_key", "digest", "path", "claim", "is_careful", "is_mapped", "tag_set"),
    *("name", "file_name", "type", "base", "size_bytes", "created_at", "meta_json", "said_before"),
)
"""Columns: `number` counts from 1 in the order of the source; one that `is_careful` has an image, or shares its hash
with one that has, or its hash or path with one before it; `tag_set` is one of those in the table of tags, `file_name`
the name of a model whose row has none, `said_before` the statement of a row with a hash up to the ids of its tags."""

FURTHER = ("number", "original_path", "image", "remarks_json")
"""What few rows have: another path in the source than here, an image, remarks."""

TAGS = ("tag_set", "name", "color", "created_at")

TAKEN = ("path",)
"""Of a row that an earlier run took as it is, nothing else is handed over."""

Taken = Set[tuple[str, str, str]]
"""Of rows that are taken already: key, digest and path, as the tables hold them."""


def prepare_news(path: Path, kind: str, source: str, rows: Iterable[LegacyRow], *, catalogue: Path) -> None:
    """Make the file of the rows of a source, with no more than their paths of those that a catalogue has taken.

    What was dropped since is none of these, and neither is what lies elsewhere than the source says now.

    Args:
        path: of the file.
        kind: of the source.
        source: which one.
        rows: all of them, in its order.
        catalogue: the file of the catalogue.
    """
    # Where this cannot be asked now, the daemon, which asks about all that is handed over, finds the same.
    prepare(path, kind, rows, read_set(catalogue, TAKEN_BEFORE, (kind, storable_path(source))))


TAKEN_BEFORE = """SELECT row_key, digest, path FROM imported_rows
    WHERE kind = ? AND source = ? AND NOT (sha256 = '' AND pending_id = 0)"""
"""Asks for `Taken` of a source."""


def prepare(path: Path, kind: str, rows: Iterable[LegacyRow], taken: Taken = frozenset()) -> None:
    """Make the file of the rows of a source; few of them are in memory at a time.

    Args:
        path: of the file.
        kind: of the source.
        rows: all of them, in its order.
        taken: what need not be handed over again.
    """
    form, numbered = _Form(kind, taken), enumerate(rows, start=1)
    with new_tables(path, {"rows": ROWS, "taken": TAKEN, "further": FURTHER, "tags": TAGS}) as file:
        for some in in_portions(numbered, _ROWS_AT_ONCE):
            insert(file, "rows", ROWS, form.values(some))
            insert(file, "further", FURTHER, _further(some))
            insert(file, "taken", TAKEN, form.pop_unchanged())
        insert(file, "tags", TAGS, form.sets.values())
        if form.late:
            file.execute(_SHARED_LATER, (json.dumps(list(form.late)),))


_ROWS_AT_ONCE = 50
"""So few that they stay in the processor's cache: with a thousand, each row takes a sixth longer."""
_SHARED_LATER = "UPDATE rows SET is_careful = 1 WHERE claim IN (SELECT value FROM json_each(?))"


class _TagSets:
    """The numbers of tags that rows bear together."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[LegacyTag, ...], int] = {}
        self._held: dict[int, tuple[tuple[LegacyTag, ...], int]] = {}

    def number(self, tags: tuple[LegacyTag, ...]) -> int:
        """Return the number of some tags; those of many rows are one object, which is known without a look at it."""
        held = self._held.get(id(tags))
        if held is None or held[0] is not tags:
            held = self._held[id(tags)] = tags, self._numbers.setdefault(tags, len(self._numbers))
        return held[1]

    def values(self) -> Iterator[tuple[Any, ...]]:
        """Yield the tags of each set in their order; only when it is asked is known which there are."""
        for tags, number in self._numbers.items():
            for tag in tags:
                yield number, storable_path(tag.name), storable_path(tag.color), tag.created_at


class _Form:
    """Gives rows the form in which the tables will hold them.

    Args:
        kind: of the source.
        taken: what need not be handed over again.
    """

    def __init__(self, kind: str, taken: Taken) -> None:
        self.sets = _TagSets()
        self.late: set[str] = set()
        """Hashes of rows with an image that rows before them have too."""
        self._said = _statement(kind)
        self._taken = taken
        self._unchanged: list[tuple[str]] = []
        self._claims: set[str] = set()
        self._places: set[str] = set()

    def pop_unchanged(self) -> list[tuple[str]]:
        """Return the paths of rows that are taken already, since this was last asked."""
        unchanged, self._unchanged = self._unchanged, []
        return unchanged

    def values(self, rows: Iterable[tuple[int, LegacyRow]]) -> Iterator[tuple[Any, ...]]:
        """Yield numbered rows as the tables will hold them; of those that are taken only the paths are noted."""
        sets, claims, places, taken = self.sets, self._claims, self._places, self._taken
        for number, row in rows:
            claim, name, type_, base = row.claim, row.name, row.type, row.base
            is_careful = bool(row.image) or claim in claims or row.path in places
            places.add(row.path)
            if claim:
                if row.image and claim in claims:
                    self.late.add(claim)
                claims.add(claim)
            if taken and (known := (storable_path(row.key), row.digest, storable_path(row.path))) in taken:
                self._unchanged.append(known[2:])
                continue
            meta = json_text(row.meta) if row.meta else "{}"
            texts = row.key, row.path, name, "" if name else suggested_name(row.path), type_, base
            key, path, stored_name, file_name, stored_type, stored_base = (
                texts if "".join(texts).isascii() else map(storable_path, texts)
            )
            yield (
                *(number, key, row.digest, path, claim, is_careful, row.is_mapped, sets.number(row.tags)),
                *(stored_name, file_name, stored_type, stored_base, row.size_bytes, row.created_at, meta),
                _said(self._said, row, meta) if claim else "",
            )


def _statement(kind: str) -> str:
    """Return how a statement begins in JSON, up to the ids of its tags, with places for all that rows say."""
    names = [known.name for known in fields(Statement)]
    told = names[: names.index("tags")]
    members = (
        f'"{name}": ' + (_in_ascii(kind).replace("%", "%%") if name == "kind" else f"%({name})s") for name in told
    )
    return "[{" + ", ".join(members) + ', "tags": ['


SAID_AFTER = '], "image": ""}]'
"""How a statement ends after the ids of its tags."""


def _said(form: str, row: LegacyRow, meta: str) -> str:
    """Return what is kept with the location of a row until its file is read, up to the ids of its tags."""
    # In ASCII, as `store.statements` has it, to which DEL does not belong there.
    is_plain = meta.isascii() and "\x7f" not in meta
    return form % {
        "name": _in_ascii(row.name),
        "type": _in_ascii(row.type),
        "base": _in_ascii(row.base),
        "created_at": row.created_at,
        "meta": meta if is_plain else json.dumps(row.meta),
        "claim": _in_ascii(row.claim),
    }


def _further(rows: Iterable[tuple[int, LegacyRow]]) -> Iterator[tuple[Any, ...]]:
    for number, row in rows:
        if row.image or row.remarks or row.original_path != row.path:
            yield number, storable_path(row.original_path), storable_path(row.image), json.dumps(row.remarks)


def row_of(values: Mapping[str, Any], tags: tuple[LegacyTag, ...]) -> LegacyRow:
    """Return a row out of its columns in both tables, and its tags."""
    return LegacyRow(
        key=values["row_key"],
        digest=values["digest"],
        path=values["path"],
        original_path=values["path"] if values["original_path"] is None else values["original_path"],
        name=values["name"],
        type=values["type"],
        base=values["base"],
        size_bytes=values["size_bytes"],
        created_at=values["created_at"],
        meta=json.loads(values["meta_json"]),
        claim=values["claim"],
        tags=tags,
        image=values["image"] or "",
        remarks=tuple(json.loads(values["remarks_json"] or "[]")),
        is_mapped=bool(values["is_mapped"]),
    )
