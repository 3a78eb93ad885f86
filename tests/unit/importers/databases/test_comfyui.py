import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.tool_databases import OLD_FOLDER, database, model, read

from modelkeep.domain.knowledge import Grade, HashKind, SourceRecord
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.databases.comfyui import ComfyUiReader

HASH, MTIME_NS = "blake3:" + "618532d3" * 8, 1_740_190_630_556_813_001
METADATA = json.dumps({"description": "mine", "base_model": "SDXL", "trained_words": ["felt"], "content_length": 1})
FIRST = """
CREATE TABLE assets (id, hash, size_bytes, mime_type);
CREATE TABLE assets_info (id, asset_id, name, preview_id, user_metadata);
CREATE TABLE asset_cache_state (id, asset_id, file_path, mtime_ns, needs_verify);
CREATE TABLE asset_info_tags (asset_info_id, tag_name, origin);
"""
SECOND = """
CREATE TABLE assets (id, hash, size_bytes);
CREATE TABLE asset_references (id, asset_id, file_path, mtime_ns, needs_verify, is_missing, name, preview_id,
    user_metadata, deleted_at);
CREATE TABLE asset_reference_tags (asset_reference_id, tag_name, origin);
"""
THIRD = """
CREATE TABLE asset_contents (id, hash, size_bytes, path, mtime_ns, is_missing);
CREATE TABLE assets (id, content_id, name, user_metadata, preview_id);
CREATE TABLE asset_tags (asset_id, tag_name, origin);
"""
TAGS = (("style", "manual"), ("models", "automatic"))


def first(folder: Path, size: int, **file: Any) -> Path:
    path = {"asset_id": "c", "file_path": f"{OLD_FOLDER}/felt.safetensors", "mtime_ns": MTIME_NS, "needs_verify": 0}
    rows: dict[str, list[dict[str, Any]]] = {
        "assets": [{"id": "c", "hash": HASH, "size_bytes": size}, {"id": "p"}],
        "assets_info": [
            {"id": 1, "asset_id": "c", "name": "Felt toys", "preview_id": 2, "user_metadata": METADATA},
            {"id": 2, "asset_id": "p", "name": "felt.png"},
        ],
        "asset_cache_state": [path | file, {"asset_id": "p", "file_path": f"{OLD_FOLDER}/felt.png"}],
        "asset_info_tags": [{"asset_info_id": 1, "tag_name": tag, "origin": origin} for tag, origin in TAGS],
    }
    return database(folder / "user" / "comfyui.db", FIRST, rows)


def second(folder: Path, size: int, **file: Any) -> Path:
    known = {"asset_id": "c", "mtime_ns": MTIME_NS, "needs_verify": 0, "is_missing": 0, "user_metadata": METADATA}
    path = {"id": "r", "name": "Felt toys", "preview_id": "q", "file_path": f"{OLD_FOLDER}/felt.safetensors"}
    gone = {"id": "g", "name": "gone", "file_path": f"{OLD_FOLDER}/gone.safetensors", "deleted_at": "2026-01-01"}
    picture = {"id": "q", "asset_id": "p", "name": "felt.png", "file_path": f"{OLD_FOLDER}/felt.png"}
    rows: dict[str, list[dict[str, Any]]] = {
        "assets": [{"id": "c", "hash": HASH, "size_bytes": size}],
        "asset_references": [known | path | file, known | gone, picture],
        "asset_reference_tags": [{"asset_reference_id": "r", "tag_name": tag, "origin": why} for tag, why in TAGS],
    }
    return database(folder / "user" / "comfyui.db", SECOND, rows)


def third(folder: Path, size: int, **file: Any) -> Path:
    path = {"path": f"{OLD_FOLDER}/felt.safetensors", "mtime_ns": MTIME_NS, "is_missing": 0}
    file.pop("needs_verify", None)
    rows: dict[str, list[dict[str, Any]]] = {
        "asset_contents": [
            {"id": "c", "hash": HASH, "size_bytes": size, **path, **file},
            {"id": "p", "path": f"{OLD_FOLDER}/felt.png"},
        ],
        "assets": [
            {"id": "a", "content_id": "c", "name": "Felt toys", "user_metadata": METADATA, "preview_id": "b"},
            {"id": "b", "content_id": "p", "name": "felt.png"},
        ],
        "asset_tags": [{"asset_id": "a", "tag_name": tag, "origin": origin} for tag, origin in TAGS],
    }
    return database(folder / "user" / "comfyui.db", THIRD, rows)


def the_record(tmp_path: Path) -> SourceRecord:
    (record,) = read(ComfyUiReader(), tmp_path, tmp_path / "models", tmp_path).records
    return record


@pytest.mark.parametrize("generation", [first, second, third])
def test_each_generation_says_the_same(tmp_path: Path, generation: Any) -> None:
    felt = model(tmp_path / "models" / "felt.safetensors", MTIME_NS)
    picture = model(tmp_path / "models" / "felt.png")
    generation(tmp_path, felt.stat().st_size)

    record = the_record(tmp_path)

    assert record.models == (str(felt),)
    assert record.meaning.title == "Felt toys"
    assert record.meaning.description.value == "mine"
    assert record.meaning.tags == ("style",)
    assert record.meaning.trigger_words == ("felt",)
    assert [(claim.kind, claim.grade, claim.mtime_ns) for claim in record.claims] == [
        (HashKind.BLAKE3, Grade.A, MTIME_NS)
    ]
    assert [image.path for image in record.images] == [str(picture)]


@pytest.mark.parametrize("generation", [first, second, third])
def test_a_file_of_another_time_or_size_was_hashed_once(tmp_path: Path, generation: Any) -> None:
    model(tmp_path / "models" / "felt.safetensors", MTIME_NS + 1)
    generation(tmp_path, 16)

    assert the_record(tmp_path).claims[0].grade is Grade.B


def test_a_preview_outside_of_all_that_the_owner_named_is_not_opened(tmp_path: Path) -> None:
    felt = model(tmp_path / "models" / "felt.safetensors", MTIME_NS)
    private = model(tmp_path / "private" / "felt.png")
    database = second(tmp_path / "comfy", felt.stat().st_size)
    (tmp_path / "models" / "felt.png").symlink_to(private)

    (record,) = read(ComfyUiReader(), database, tmp_path / "models", tmp_path).records

    assert record.models == (str(felt),)
    assert record.images == ()


@pytest.mark.parametrize("name", ["felt.png", "a" * 300])
def test_a_preview_that_nobody_can_look_at_is_none(tmp_path: Path, name: str) -> None:
    felt = model(tmp_path / "models" / "felt.safetensors", MTIME_NS)
    (tmp_path / "models" / "felt.png").symlink_to("felt.png")
    source = second(tmp_path, felt.stat().st_size)
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("UPDATE asset_references SET file_path = ? WHERE id = 'q'", (f"{OLD_FOLDER}/{name}",))

    assert the_record(tmp_path).images == ()


@pytest.mark.parametrize("doubt", [{"needs_verify": 1}, {"is_missing": 1}])
def test_a_doubt_of_its_own_takes_the_highest_grade_away(tmp_path: Path, doubt: dict[str, int]) -> None:
    felt = model(tmp_path / "models" / "felt.safetensors", MTIME_NS)
    second(tmp_path, felt.stat().st_size, **doubt)

    assert the_record(tmp_path).claims[0].grade is Grade.B


def test_a_backup_counts_and_a_database_without_assets_is_refused(tmp_path: Path) -> None:
    backup = third(tmp_path, 1).rename(tmp_path / "comfyui.db.bak")
    assert read(ComfyUiReader(), backup, tmp_path, tmp_path).records

    database(tmp_path / "comfyui.db", "CREATE TABLE settings (x)", {})
    with pytest.raises(SourceError, match="no assets"):
        ComfyUiReader().read(SourceOptions(tmp_path / "comfyui.db", scratch=tmp_path))
