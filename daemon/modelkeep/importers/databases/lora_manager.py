"""ComfyUI-Lora-Manager's cache: notes, tags and favourites, which it alone still has when a sidecar is gone."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelkeep.domain.knowledge import Grade, HashKind, Meaning, SourceRecord
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import claims_of, digest_of, json_in, links, object_in, plain, stem_of
from modelkeep.importers.databases.json_files import read_object_or_empty
from modelkeep.importers.databases.lora_manager_pictures import read_examples, read_recipes
from modelkeep.importers.databases.lora_manager_places import find_places
from modelkeep.importers.databases.lora_manager_sidecars import read_sidecars
from modelkeep.importers.databases.tables import resolved_database, rows_of, tables_of
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.legacy_text import as_text, clean, whole_number
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.lora_manager import weight_of
from modelkeep.importers.sidecars.values import texts
from modelkeep.importers.sqlite_copy import opened_copy

KIND = "lora-manager"

_COLUMNS = (
    "model_type",
    "file_path",
    "file_name",
    "model_name",
    "size",
    "sha256",
    "autov3",
    "base_model",
    "favorite",
    "notes",
    "usage_tips",
    "metadata_source",
    "civitai_id",
    "civitai_model_id",
    "civitai_model_type",
    "civitai_name",
    "civitai_creator_username",
    "trained_words",
    "exclude",
    "hash_status",
    "hf_url",
)
_OWNED = frozenset({"notes", "favourite", "weight"})


class LoraManagerReader:
    """Reads the cache, the recipes, the example images and the sidecars that the settings name."""

    kind = KIND
    places = "its folder of settings, a cache/model/*.sqlite, or its folder of recipes, example images or sidecars"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read what lies at the source; None when nothing of the tool does."""
        places = find_places(options.source, options.path_map)
        if places.is_empty:
            return None
        found = Found(KIND)
        for database in places.caches:
            self._read_cache(database, options, found)
        found.add(read_recipes(places))
        found.add(read_examples(places, options.images))
        for folder in places.sidecars:
            found.add(read_sidecars(folder, options))
        found.refusals += places.unreadable
        return found.content(options.source)

    def _read_cache(self, database: Path, options: SourceOptions, found: Found) -> None:
        try:
            resolved = resolved_database(database)
            with opened_copy(resolved, options.scratch) as connection:
                found.records += _records(connection, resolved, options.path_map)
        except SourceError as error:
            if database == options.source:
                raise
            found.refuse(database, error)


def _records(connection: sqlite3.Connection, database: Path, path_map: PathMap) -> Iterator[SourceRecord]:
    tables = tables_of(connection)
    if not {"model_type", "file_path"} <= tables.get("models", frozenset()):
        raise SourceError(f"{database} is no cache of LoRA Manager: it has no table models with file_path")
    tags: dict[tuple[Any, Any], list[str]] = defaultdict(list)
    if "model_tags" in tables:
        for row in rows_of(connection, tables, "model_tags", ("model_type", "file_path", "tag"), database):
            tags[row["model_type"], row["file_path"]].append(as_text(row["tag"]))
    for row in rows_of(connection, tables, "models", _COLUMNS, database):
        yield _record(row, tags[row["model_type"], row["file_path"]], database, path_map)


def _record(row: Mapping[str, Any], tags: list[str], database: Path, path_map: PathMap) -> SourceRecord:
    path, _ = local_path(row["file_path"], path_map)
    original = clean(row["file_path"])
    # The sidecar is what the tool itself goes by: beside one, a cache knows nothing of its own but the hash.
    meaning = Meaning() if path and has_sidecar(path) else _meaning(row, tags)
    return SourceRecord(
        KIND,
        key=f"{database}#{clean(row['model_type'])}:{original}",
        digest=digest_of(plain(row), sorted(tags), bool(meaning.is_empty)),
        models=(path,) if path else (),
        original_path=original if original != path else "",
        stem=stem_of(original),
        size_bytes=whole_number(row["size"]) or 0,
        meaning=meaning,
        owned=_OWNED,
        raw={**plain(row), **({"tags": [clean(tag) for tag in tags]} if tags else {})},
        claims=claims_of(
            # After a download it holds what the site said, else what was computed once.
            (HashKind.SHA256, row["sha256"], Grade.C if row["civitai_model_id"] else Grade.B),
            (HashKind.AUTOV3, row["autov3"], Grade.C),
        ),
        remarks=_remarks(row),
    )


def has_sidecar(model: str) -> bool:
    """Return whether LoRA Manager's sidecar lies beside a model and is JSON that can be read."""
    stem = model.rpartition(".")[0]
    return bool(read_object_or_empty(Path(f"{stem}.metadata.json")))


def _meaning(row: Mapping[str, Any], tags: list[str]) -> Meaning:
    title = clean(row["model_name"]).strip()
    return Meaning(
        title="" if title == clean(row["file_name"]).strip() else title,
        version=clean(row["civitai_name"]).strip(),
        notes=clean(row["notes"]),
        base_model=civitai.base_model(row["base_model"]),
        author=clean(row["civitai_creator_username"]).strip(),
        weight=weight_of(object_in(row["usage_tips"])),
        favourite=True if row["favorite"] == 1 else None,
        tags=texts(tags),
        trigger_words=texts(json_in(row["trained_words"])),
        origins=(*civitai.origins(row["civitai_model_id"], row["civitai_id"]), *links(row["hf_url"])),
    )


def _remarks(row: Mapping[str, Any]) -> tuple[str, ...]:
    return ("it is excluded in LoRA Manager",) if row["exclude"] == 1 else ()
