"""ComfyUI's database of assets, in its three generations; its own migrations delete all rows: backups count too."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, ImageFile, ImageRank, Meaning, SourceRecord, Text
from modelkeep.domain.naming import is_model_file
from modelkeep.domain.values import JsonObject
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import claims_of, digest_of, links, object_in, stem_of
from modelkeep.importers.databases.model_files import EXTENSIONS
from modelkeep.importers.databases.tables import Tables, resolved_database, rows_of, tables_of
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.legacy_text import clean, whole_number
from modelkeep.importers.sidecars.values import text, texts
from modelkeep.importers.sqlite_copy import opened_copy

KIND = "comfyui"
DATABASE_NAME = "comfyui.db"
_PLACES = (f"user/{DATABASE_NAME}", DATABASE_NAME)
_OWNED = frozenset({"title", "description", "notes", "tags"})


@dataclass(frozen=True, slots=True)
class _Generation:
    """Which tables hold what, told apart by the tables and not by a revision, for revisions have double numbers.

    `paths` is the table with path, time and state of a file, found by `paths_key`: the entry's id, or its content's.
    """

    entries: str
    content_id: str
    contents: str
    paths: str
    path_column: str
    paths_key: str
    tags: str
    tags_key: str

    def file_key(self, entry: Mapping[str, Any]) -> Any:
        """Return what finds the files of an entry."""
        return entry["id"] if self.paths == self.entries else entry[self.content_id]


_GENERATIONS = (
    _Generation(
        entries="assets",
        content_id="content_id",
        contents="asset_contents",
        paths="asset_contents",
        path_column="path",
        paths_key="id",
        tags="asset_tags",
        tags_key="asset_id",
    ),
    _Generation(
        entries="asset_references",
        content_id="asset_id",
        contents="assets",
        paths="asset_references",
        path_column="file_path",
        paths_key="id",
        tags="asset_reference_tags",
        tags_key="asset_reference_id",
    ),
    _Generation(
        entries="assets_info",
        content_id="asset_id",
        contents="assets",
        paths="asset_cache_state",
        path_column="file_path",
        paths_key="asset_id",
        tags="asset_info_tags",
        tags_key="asset_info_id",
    ),
)
_ENTRY_COLUMNS = ("id", "name", "user_metadata", "preview_id", "deleted_at")


class ComfyUiReader:
    """Reads `comfyui.db` or a backup of it, given as the file or ComfyUI's folder."""

    kind = KIND
    places = "its folder, user/comfyui.db in it, or a backup of that"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the database at the source; None when there is none.

        Raises:
            SourceError: it cannot be read, or holds no assets.
        """
        database = _find(options.source)
        if database is None:
            return None
        resolved = resolved_database(database)
        found = Found(KIND)
        with opened_copy(resolved, options.scratch) as connection:
            found.add(_AssetReader(connection, resolved, options).records())
        return found.content(resolved)


def _find(source: Path) -> Path | None:
    if source.is_file():
        return source if source.name.startswith(DATABASE_NAME.removesuffix(".db")) else None
    return next((path for place in _PLACES if (path := source / place).is_file()), None)


class _AssetReader:
    """Reads the assets that are model files."""

    def __init__(self, connection: sqlite3.Connection, database: Path, options: SourceOptions) -> None:
        self._connection = connection
        self._database = database
        self._options = options
        self._tables: Tables = tables_of(connection)

    def records(self) -> Iterator[SourceRecord]:
        """Yield a record for each asset that is a model."""
        shape = next((shape for shape in _GENERATIONS if self._has(shape)), None)
        if shape is None:
            raise SourceError(f"{self._database} holds no assets of ComfyUI; give the path of {DATABASE_NAME}")
        contents = {row["id"]: row for row in self._rows(shape.contents, "id", "hash", "size_bytes")}
        files, tags = self._files(shape), self._manual_tags(shape)
        entries = list(self._rows(shape.entries, *_ENTRY_COLUMNS, shape.content_id))
        paths = {entry["id"]: _path_of(files[shape.file_key(entry)]) for entry in entries}
        for entry in entries:
            found = files[shape.file_key(entry)]
            if entry["deleted_at"] is None and any(is_model_file(_name(file), EXTENSIONS) for file in found):
                content = contents.get(entry[shape.content_id], {})
                yield self._record(entry, content, found, tags[entry["id"]], paths.get(entry["preview_id"], ""))

    def _is_inside(self, picture: Path) -> bool:
        """Return whether an image lies where the owner says that his files are: a database may name any path."""
        folder = self._database.parent
        own = folder.parent if folder.name == "user" else folder
        mapped = (Path(new) for _, new in self._options.path_map.pairs)
        real = Path(os.path.realpath(picture))
        return any(real.is_relative_to(os.path.realpath(each)) for each in (own, *self._options.roots, *mapped))

    def _has(self, shape: _Generation) -> bool:
        return (
            {"id", shape.content_id, "name"} <= self._tables.get(shape.entries, frozenset())
            and {"id", "hash"} <= self._tables.get(shape.contents, frozenset())
            and {shape.paths_key, shape.path_column} <= self._tables.get(shape.paths, frozenset())
        )

    def _rows(self, table: str, *names: str) -> Iterator[dict[str, Any]]:
        return rows_of(self._connection, self._tables, table, names, self._database)

    def _files(self, shape: _Generation) -> dict[Any, list[dict[str, Any]]]:
        """Return path, time and state of the files by what finds them."""
        files: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(
            shape.paths, shape.paths_key, shape.path_column, "mtime_ns", "needs_verify", "is_missing"
        ):
            if row[shape.path_column]:
                files[row[shape.paths_key]].append({**row, "path": row[shape.path_column]})
        return files

    def _manual_tags(self, shape: _Generation) -> dict[Any, list[str]]:
        """Return the tags that somebody gave; all others are made of paths."""
        tags: dict[Any, list[str]] = defaultdict(list)
        if {shape.tags_key, "tag_name", "origin"} <= self._tables.get(shape.tags, frozenset()):
            for row in self._rows(shape.tags, shape.tags_key, "tag_name", "origin"):
                if row["origin"] == "manual":
                    tags[row[shape.tags_key]].append(clean(row["tag_name"]))
        return tags

    def _record(
        self,
        entry: Mapping[str, Any],
        content: Mapping[str, Any],
        places: list[dict[str, Any]],
        tags: list[str],
        preview: str,
    ) -> SourceRecord:
        metadata = object_in(entry["user_metadata"])
        local = [(path, file) for file in places if (path := local_path(file["path"], self._options.path_map)[0])]
        original = clean(places[0]["path"])
        size = whole_number(content.get("size_bytes")) or 0
        claims = _claims(content.get("hash"), size, local)
        picture, _ = local_path(preview, self._options.path_map) if preview else ("", "")
        picture = picture if picture and self._is_inside(Path(picture)) else ""
        return SourceRecord(
            KIND,
            key=f"{self._database}#{clean(entry['id'])}",
            digest=digest_of(entry["name"], metadata, sorted(tags), content.get("hash"), [path for path, _ in local]),
            models=tuple(path for path, _ in local),
            original_path=original if original not in [path for path, _ in local] else "",
            stem=stem_of(original),
            size_bytes=size,
            meaning=_meaning(entry, metadata, tags, original),
            owned=_OWNED,
            raw=_raw(entry, metadata, tags, content),
            claims=claims,
            images=(ImageFile(picture, ImageRank.PREVIEW),) if picture and os.path.isfile(picture) else (),
        )


def _path_of(files: list[dict[str, Any]]) -> str:
    return clean(files[0]["path"]) if files else ""


def _name(file: Mapping[str, Any]) -> str:
    return clean(file["path"]).replace("\\", "/").rpartition("/")[2]


def _meaning(entry: Mapping[str, Any], metadata: JsonObject, tags: list[str], path: str) -> Meaning:
    name = clean(entry["name"]).strip()
    base = path.replace("\\", "/").rpartition("/")[2]
    return Meaning(
        title="" if not name or base in (name, name.rpartition("/")[2]) else name,
        description=Text(text(metadata.get("description")) or text(metadata.get("user_description"))),
        notes=text(metadata.get("notes")),
        base_model=text(metadata.get("base_model")),
        tags=texts(tags),
        trigger_words=texts(metadata.get("trained_words")),
        origins=links(metadata.get("source_url"), metadata.get("repo_url")),
    )


def _raw(entry: Mapping[str, Any], metadata: JsonObject, tags: list[str], content: Mapping[str, Any]) -> JsonObject:
    known = {
        "name": clean(entry["name"]),
        "hash": clean(content.get("hash")),
        "tags": tags,
        "user_metadata": metadata,
    }
    return {name: value for name, value in known.items() if value}


def _claims(value: object, size: int, local: list[tuple[str, dict[str, Any]]]) -> tuple[HashClaim, ...]:
    """Return the hash of the content; as made of these bytes where the file has the stored size and time still."""
    algorithm, _, digest = clean(value).partition(":")
    if algorithm != "blake3":
        return ()
    for path, file in local:
        fingerprint = fingerprint_of(path)
        is_same = fingerprint is not None and (fingerprint.size_bytes, fingerprint.mtime_ns) == (
            size,
            file["mtime_ns"],
        )
        if is_same and not file["needs_verify"] and not file["is_missing"]:
            found = claims_of((HashKind.BLAKE3, digest, Grade.A))
            return tuple(replace(claim, size_bytes=size, mtime_ns=file["mtime_ns"]) for claim in found)
    return claims_of((HashKind.BLAKE3, digest, Grade.B))
