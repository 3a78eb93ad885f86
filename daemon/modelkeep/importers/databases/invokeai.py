"""InvokeAI's database: one JSON configuration a model, and the cover pictures that it made.

Only `id`, `config` and `created_at` are read: every other column is computed from `config`, so that all versions
since 4.0 look alike.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    ImageFile,
    ImageRank,
    Meaning,
    Origin,
    SourceRecord,
    Text,
    Weight,
)
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import is_windows_path
from modelkeep.domain.values import JsonObject
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import HUGGING_FACE, claims_of, digest_of, links, object_in, stem_of
from modelkeep.importers.databases.tables import resolved_database, rows_of, tables_of
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.legacy_text import clean, milliseconds, whole_number
from modelkeep.importers.sidecars.values import number, object_of, text, texts
from modelkeep.importers.sqlite_copy import opened_copy

KIND = "invokeai"
DATABASE_NAME = "invokeai.db"
_PLACES = (f"databases/{DATABASE_NAME}", DATABASE_NAME)
_HASHED_WHOLE = (".ckpt", ".safetensors", ".bin", ".pt", ".pth", ".gguf")
"""Endings of files; of a folder the hash is made of hashes, under the same prefix."""

_ALGORITHMS = {
    "blake3": HashKind.BLAKE3,
    "blake3_single": HashKind.BLAKE3,
    "blake3_multi": HashKind.BLAKE3,
    "sha256": HashKind.SHA256,
}
_OWNED = frozenset({"description", "notes", "weight"})


class InvokeAiReader:
    """Reads `invokeai.db`, given as the file, its folder or InvokeAI's own."""

    kind = KIND
    places = "its root folder (~/invokeai), or databases/invokeai.db in it"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the database at the source; None when there is none.

        Raises:
            SourceError: it cannot be read, or is none of InvokeAI 4 or later.
        """
        database = _find(options.source)
        if database is None:
            return None
        resolved = resolved_database(database)
        found = Found(KIND)
        with opened_copy(resolved, options.scratch, has_computed_columns=True) as connection:
            found.add(_records(connection, resolved, options))
        return found.content(resolved)


def _find(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix == ".db" and source.name.startswith("invokeai") else None
    return next((path for place in _PLACES if (path := source / place).is_file()), None)


def _records(
    connection: sqlite3.Connection, database: Path, options: SourceOptions
) -> Iterator[SourceRecord | Refusal]:
    tables = tables_of(connection)
    if not {"id", "config"} <= tables.get("models", frozenset()):
        raise SourceError(f"{database} is no database of InvokeAI 4 or later: it has no table models with a config")
    root = database.parent.parent if database.parent.name == "databases" else database.parent
    for row in rows_of(connection, tables, "models", ("id", "config", "created_at"), database):
        config = object_in(row["config"])
        if config:
            yield _record(clean(row["id"]), config, database, root, options)
        else:
            yield Refusal(clean(row["id"]), str(database), "its configuration is no JSON object")


def _record(key: str, config: JsonObject, database: Path, root: Path, options: SourceOptions) -> SourceRecord:
    original = clean(config.get("path"))
    paths = _local_paths(original, root, options)
    cover = (options.images or root / "models" / "model_images") / f"{key}.webp"
    picture = str(cover) if _is_name(key) and os.path.isfile(cover) else ""
    updated = milliseconds(config.get("updated_at"))
    return SourceRecord(
        KIND,
        key=f"{database}#{key}",
        digest=digest_of(config, bool(picture) and os.path.getsize(picture)),
        models=paths,
        original_path=original if original not in paths else "",
        stem=stem_of(original),
        size_bytes=whole_number(config.get("file_size")) or 0,
        meaning=_meaning(config),
        owned=_OWNED,
        updated_at=updated or 0,
        raw=config,
        claims=_claims(config),
        images=(ImageFile(picture, ImageRank.THUMBNAIL),) if picture else (),
    )


def _is_name(key: str) -> bool:
    return bool(key) and "/" not in key and "\x00" not in key


def _local_paths(stored: str, root: Path, options: SourceOptions) -> tuple[str, ...]:
    """Return where the file may lie: relative paths begin at the models folder, older ones at the root."""
    if not stored or stored.startswith("/") or is_windows_path(stored) or options.path_map.covers(stored):
        path, _ = local_path(stored, options.path_map)
        return (path,) if path else ()
    candidates = [os.path.normpath(folder / stored) for folder in (root / "models", root)]
    below = [path for path in candidates if Path(path).is_relative_to(root) and "\x00" not in path]
    there = [path for path in below if os.path.isfile(path)]
    return tuple((there or below)[:1])


def _meaning(config: Mapping[str, Any]) -> Meaning:
    defaults = object_of(config.get("default_settings"))
    return Meaning(
        title=text(config.get("name")),
        description=Text(clean(config.get("description"))),
        base_model=text(config.get("base")),
        trigger_words=texts(config.get("trigger_phrases")),
        weight=Weight(
            number(defaults.get("weight")), number(defaults.get("weight_min")), number(defaults.get("weight_max"))
        ),
        origins=_origins(config),
    )


def _origins(config: Mapping[str, Any]) -> tuple[Origin, ...]:
    source, page = text(config.get("source")), config.get("source_url")
    if config.get("source_type") != "hf_repo_id" or not source:
        return links(source, page)
    repository = source.partition(":")[0]
    return (Origin(HUGGING_FACE, repository, url=f"https://huggingface.co/{repository}"), *links(page))


def _claims(config: Mapping[str, Any]) -> tuple[HashClaim, ...]:
    algorithm, _, value = text(config.get("hash")).partition(":")
    kind = _ALGORITHMS.get(algorithm)
    if kind is None or not text(config.get("path")).lower().endswith(_HASHED_WHOLE):
        return ()
    return claims_of((kind, value, Grade.B))
