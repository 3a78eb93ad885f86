"""Hikaze Model Manager v1: its database and the images beside it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from modelkeep.base.collector import collector_paused
from modelkeep.domain.legacy import LegacyRow, LegacyTag, Refusal
from modelkeep.domain.naming import PathMap
from modelkeep.domain.values import normalise_sha256
from modelkeep.importers.base import SourceContent, SourceOptions, content_of
from modelkeep.importers.hikaze_meta import HikazeMeta, read_meta
from modelkeep.importers.hikaze_source import HikazeRecord, find_database, read_records
from modelkeep.importers.image_folder import ImageFolder
from modelkeep.importers.legacy_path import is_mapped, local_path
from modelkeep.importers.legacy_text import TAKEN_AS_UNKNOWN, as_text, clean, milliseconds, whole_number
from modelkeep.importers.sqlite_copy import opened_copy


class HikazeImporter:
    """Reads `hikaze_mm.sqlite3`, given as the file, its folder or the plugin's folder."""

    kind = "hikaze"
    description = "Hikaze Model Manager v1: SOURCE is its folder, or hikaze_mm.sqlite3 in it"

    def read(self, options: SourceOptions) -> SourceContent:
        """Read the whole source; nothing in or beside it is created or changed.

        Raises:
            SourceError: the source cannot be read at all.
        """
        database = find_database(options.source)
        composer = RowComposer(_image_folder(options, database), options.path_map)
        with opened_copy(database, options.scratch) as connection, collector_paused():
            source = _Distinct(lambda: map(composer.compose, read_records(connection, database)))
            content = content_of(self.kind, str(database), source.rows(), options.hand_over)
            refusals = source.refusals()
        return replace(content, refusals=tuple(refusals), remarks=_remarks(options.source, database))


@dataclass(frozen=True, slots=True)
class RowComposer:
    """Makes a legacy row out of a database record."""

    images: ImageFolder
    path_map: PathMap
    _tags: "dict[int, _Carried]" = field(default_factory=dict)

    def compose(self, record: HikazeRecord) -> LegacyRow | Refusal:
        """Return the row, or why it cannot be taken."""
        key, original_path = clean(record.id), as_text(record.path)
        path, reason = local_path(record.path, self.path_map)
        if reason:
            return Refusal(key, original_path, reason)
        meta = read_meta(record.extra_json, record.meta_json, self.images.find)
        image = self._choose_image(meta) if meta.references else ""
        tags = self._carried(record.tags)
        return LegacyRow(
            key=key,
            digest=_digest(record, tags.said, image),
            path=path,
            original_path=original_path,
            name=clean(record.name),
            type=clean(record.type).strip(),
            size_bytes=_size_bytes(record.size_bytes, meta.remarks),
            created_at=_created_at(record.created_at, meta.remarks),
            claim=_claim(record.hash_hex, meta.remarks),
            meta=meta.value,
            tags=tags.distinct,
            image=str(self.images.path / image) if image else "",
            remarks=tuple(meta.remarks),
            is_mapped=is_mapped(record.path, self.path_map),
        )

    def _choose_image(self, meta: HikazeMeta) -> str:
        """Return the base name of the first image that is there; what is not taken becomes a remark."""
        found = list(dict.fromkeys(filter(None, map(self.images.find, meta.references))))
        absent = [clean(reference) for reference in meta.references if not self.images.find(reference)]
        for reference in absent:
            meta.remarks.append(f"its image {reference} is not in {self.images.path}")
        if len(found) > 1:
            meta.remarks.append(
                f"its first image, {found[0]}, is taken; in {self.images.path} stay {', '.join(found[1:])},"
                " for a row takes one image with it"
            )
        return found[0] if found else ""

    def _carried(self, tags: tuple[LegacyTag, ...]) -> "_Carried":
        """Return what is made of the tags of a row; the reader hands over one object for the same tags."""
        held = self._tags.get(id(tags))
        if held is None or held.tags is not tags:
            held = self._tags[id(tags)] = _Carried(tags, _distinct(tags), _said(tags))
        return held


class _Carried(NamedTuple):
    """Tags of a row, each of them once, and how the digest spells them."""

    tags: tuple[LegacyTag, ...]
    distinct: tuple[LegacyTag, ...]
    said: str


def _image_folder(options: SourceOptions, database: Path) -> ImageFolder:
    if options.images is not None:
        return ImageFolder.listed(options.images.absolute(), must_exist=True)
    return ImageFolder.listed(database.parent / "images", must_exist=False)


def _remarks(source: Path, database: Path) -> tuple[Refusal, ...]:
    if source.absolute() == database:
        return ()
    return (Refusal("", str(source), f"the database that was read is {database}"),)


class _Distinct:
    """The rows of a source, but those whose id or path another row has taken before them; these are refused.

    Args:
        compose: reads all rows, the same whenever it is asked.
    """

    def __init__(self, compose: Callable[[], Iterable[LegacyRow | Refusal]]) -> None:
        self._compose = compose
        self._refused: list[Refusal | LegacyRow] = []
        self._takers: dict[str, str] = {}

    def rows(self) -> Iterator[LegacyRow]:
        """Yield each row that is taken; they are gone through once."""
        takers, keys = self._takers, set[str]()
        for row in self._compose():
            if isinstance(row, Refusal):
                self._refused.append(row)
            elif row.key in keys:
                self._refused.append(Refusal(row.key, row.original_path, f"another row has the id {row.key!r} too"))
            elif takers.setdefault(row.path, row.key) != row.key:
                self._refused.append(row)
            else:
                yield row
            keys.add(row.key)

    def refusals(self) -> list[Refusal]:
        """Return why the others are not taken, once all rows were gone through."""
        firsts = self._firsts({row.path for row in self._refused if isinstance(row, LegacyRow)})
        return [
            Refusal(row.key, row.original_path, _double(row, firsts[row.path])) if isinstance(row, LegacyRow) else row
            for row in self._refused
        ]

    def _firsts(self, paths: Set[str]) -> dict[str, LegacyRow]:
        """Read the rows again that have taken paths at which there are others: to keep all takes gigabytes."""
        firsts: dict[str, LegacyRow] = {}
        for row in self._compose() if paths else ():
            if isinstance(row, LegacyRow) and row.path in paths and row.key == self._takers[row.path]:
                firsts.setdefault(row.path, row)
        return firsts


def _double(row: LegacyRow, first: LegacyRow) -> str:
    named = replace(row, key=first.key, digest=first.digest, original_path=first.original_path)
    alike = replace(named, is_mapped=first.is_mapped) == first
    if alike:
        return f"row {first.key} says the same about {row.path} and was taken, so nothing is lost"
    return (
        f"row {first.key} ({first.original_path}) means the same file, {row.path}, and was taken;"
        " delete one of the two in the old manager, or map their folders to different ones"
    )


def _size_bytes(value: object, remarks: list[str]) -> int:
    number = whole_number(value)
    if number is None and value not in (None, "", b""):
        remarks.append(f"its size {clean(value)!r} is no number of bytes and {TAKEN_AS_UNKNOWN}")
    return number or 0


def _created_at(value: object, remarks: list[str]) -> int:
    number = milliseconds(value)
    if number is None and value not in (None, "", b""):
        remarks.append(f"its time of creation {clean(value)!r} is no time and {TAKEN_AS_UNKNOWN}")
    return number or 0


_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def _claim(value: object, remarks: list[str]) -> str:
    text = as_text(value).strip()
    digest = normalise_sha256(text)
    if text and digest is None:
        remarks.append(f"its hash {clean(text)!r} is no SHA-256; the file will be hashed")
    if digest == _OF_NOTHING:
        remarks.append("its hash is that of an empty file, which is no model; the file will be hashed")
        return ""
    return digest or ""


def _distinct(tags: tuple[LegacyTag, ...]) -> tuple[LegacyTag, ...]:
    return tags if len(tags) < 2 else tuple({tag.name: tag for tag in tags}.values())


def _said(tags: tuple[LegacyTag, ...]) -> str:
    return ascii(sorted((tag.name, tag.color) for tag in tags))


def _digest(record: HikazeRecord, tags: str, image: str) -> str:
    """Return what changes when anything changes that the source says of a row, on whatever machine it is read."""
    # `ascii` writes any mixture of types unmistakably, lone surrogates included, and never differently. This is how
    # it writes the columns, the tags and the image as one tuple: earlier runs have noted digests of that.
    said = f"{ascii(record[1:-1])[:-1]}, {tags}, {image!a})"
    return hashlib.sha256(said.encode("ascii")).hexdigest()
