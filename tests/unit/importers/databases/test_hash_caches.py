import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
from tests.tool_databases import by_model, database, json_file, model, read

from modelkeep.domain.knowledge import Grade, HashKind
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.databases.webui import SDNEXT, WEBUI

DISK_CACHE = (
    "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, mode INTEGER, filename TEXT, value)"
)
NIGHT_NS, FELT_NS = 1_728_526_996_508_089_088, 1_740_190_630_556_813_001
NIGHT, FELT, STALE = "474418d9" * 8, "4a6ab54b" * 8, "0c5565a8" * 8


@pytest.fixture
def models(tmp_path: Path) -> Path:
    model(tmp_path / "models" / "checkpoints" / "xl" / "night.safetensors", NIGHT_NS)
    model(tmp_path / "models" / "loras" / "a" / "felt.safetensors", FELT_NS)
    model(tmp_path / "models" / "loras" / "b" / "felt.safetensors", FELT_NS + 5_000_000_000)
    return tmp_path / "models"


def disk_cache(folder: Path, store: str, *rows: tuple[str, Any]) -> Path:
    values = [{"key": key, "raw": 1, "mode": 4, "value": value} for key, value in rows]
    return database(folder / "cache" / store / "cache.db", DISK_CACHE, {"Cache": values})


def pickled(mtime: float, sha256: str) -> bytes:
    return pickle.dumps({"mtime": mtime, "sha256": sha256})


def test_a_hash_with_the_very_time_of_one_file_is_made_of_it(tmp_path: Path, models: Path) -> None:
    hashes = {
        "checkpoint/xl\\night.safetensors": {"mtime": NIGHT_NS / 1e9, "sha256": NIGHT},
        "vae": {"mtime": NIGHT_NS / 1e9, "sha256": NIGHT},
    }
    addnet = {"lora/felt": {"mtime": FELT_NS / 1e9, "sha256": FELT}}
    json_file(tmp_path / "a1111" / "cache.json", {"hashes": hashes, "hashes-addnet": addnet, "other": {"x": {}}})

    content = read(WEBUI, tmp_path / "a1111", models, tmp_path)

    found = by_model(content)
    night, felt = found["night.safetensors"], found["felt.safetensors"]
    assert (night.claims[0].kind, night.claims[0].grade) == (HashKind.SHA256, Grade.A)
    assert night.claims[0].mtime_ns == NIGHT_NS
    assert felt.models == (str(models / "loras/a/felt.safetensors"),)
    assert (felt.claims[0].kind, felt.claims[0].grade) == (HashKind.SHA256_OR_TENSORS, Grade.A)
    assert [refusal.key for refusal in content.refusals] == ["vae"]


def test_a_hash_with_another_time_is_worth_little_and_says_so(tmp_path: Path, models: Path) -> None:
    # The tools themselves take a hash for good whenever the file is not newer.
    hashes = {"checkpoint/xl/night.safetensors": {"mtime": NIGHT_NS / 1e9 + 1, "sha256": STALE}}
    cache = json_file(tmp_path / "sdnext" / "data" / "cache.json", {"hashes": hashes})

    (record,) = read(SDNEXT, tmp_path / "sdnext", models, tmp_path).records

    assert record.kind == "sdnext"
    assert record.key.startswith(str(cache))
    assert record.claims[0].grade is Grade.D
    assert record.remarks


def test_two_files_of_the_same_time_leave_it_open_which_is_meant(tmp_path: Path, models: Path) -> None:
    model(models / "loras" / "b" / "felt.safetensors", FELT_NS)
    addnet = {"lora/felt": {"mtime": FELT_NS / 1e9, "sha256": FELT}}
    json_file(tmp_path / "cache.json", {"hashes-addnet": addnet})

    (record,) = read(WEBUI, tmp_path / "cache.json", models, tmp_path).records

    assert len(record.models) == 2
    assert record.claims[0].grade is Grade.D


def test_pickled_values_are_taken_apart_and_hashes_of_names_are_dropped(tmp_path: Path, models: Path) -> None:
    of_name = hashlib.sha256(b"felt.safetensors").hexdigest()
    disk_cache(
        tmp_path / "forge",
        "hashes",
        ("checkpoint/xl/night.safetensors", pickled(NIGHT_NS / 1e9, NIGHT)),
        ("lora/felt", pickled(FELT_NS / 1e9, of_name)),
        ("lora/evil", b"cos\nsystem\n(S'true'\ntR."),
        ("lora/none", None),
    )

    content = read(WEBUI, tmp_path / "forge", models, tmp_path)

    assert list(by_model(content)) == ["night.safetensors"]
    reasons = {refusal.key: refusal.reason for refusal in content.refusals}
    assert "hash of the file's name" in reasons["lora/felt"]
    assert "pickle that is not read" in reasons["lora/evil"]
    assert "pickle that is not read" in reasons["lora/none"]


def test_a_disk_cache_beats_the_file_that_it_was_made_of(tmp_path: Path, models: Path) -> None:
    key = "checkpoint/xl/night.safetensors"
    json_file(tmp_path / "w" / "cache.json", {"hashes": {key: {"mtime": NIGHT_NS / 1e9, "sha256": STALE}}})
    disk_cache(tmp_path / "w", "hashes", (key, pickled(NIGHT_NS / 1e9, NIGHT)))

    (record,) = read(WEBUI, tmp_path / "w", models, tmp_path).records

    assert record.claims[0].value == NIGHT


def test_models_are_found_below_the_roots_too(tmp_path: Path, models: Path) -> None:
    hashes = {"checkpoint/night.safetensors": {"mtime": NIGHT_NS / 1e9, "sha256": NIGHT}}
    source = json_file(tmp_path / "far" / "away" / "in" / "there" / "cache.json", {"hashes": hashes})

    content = WEBUI.read(SourceOptions(source, roots=(models,)))

    assert content is not None
    assert list(by_model(content)) == ["night.safetensors"]


def test_what_is_no_cache_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "w" / "cache" / "hashes" / "cache.db"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no database")
    content = WEBUI.read(SourceOptions(tmp_path / "w", scratch=tmp_path))

    assert content is not None
    assert "not an SQLite database" in content.refusals[0].reason
    with pytest.raises(SourceError):
        WEBUI.read(SourceOptions(broken, scratch=tmp_path))
    assert WEBUI.read(SourceOptions(tmp_path)) is None
