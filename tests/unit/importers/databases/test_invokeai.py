import json
from pathlib import Path
from typing import Any

import pytest
from tests.tool_databases import OLD_FOLDER, by_model, database, model, read

from modelkeep.domain.knowledge import Grade, HashKind, ImageRank, Text, Weight
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.databases.invokeai import InvokeAiReader

COMPUTED = "{0} TEXT GENERATED ALWAYS AS (json_extract(config, '$.{0}')) VIRTUAL NOT NULL"
TABLE = f"""
CREATE TABLE models (id TEXT NOT NULL PRIMARY KEY,
    {", ".join(map(COMPUTED.format, ("hash", "base", "type", "path", "name")))},
    config TEXT NOT NULL, created_at DATETIME NOT NULL DEFAULT(STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')), UNIQUE(path));
"""
FELT = "618532d3" * 8


def invoke(folder: Path, *configs: dict[str, Any]) -> Path:
    filled = [{"hash": "random:00", "base": "sdxl", "type": "main", "name": "n", **config} for config in configs]
    rows: list[dict[str, object]] = [
        {"id": config.get("key", str(number)), "config": json.dumps(config)} for number, config in enumerate(filled)
    ]
    return database(folder / "databases" / "invokeai.db", TABLE, {"models": rows})


def test_a_configuration_is_read_with_its_words_and_its_hash(tmp_path: Path) -> None:
    felt = {
        "key": "7e01",
        "path": f"{OLD_FOLDER}/loras/felt.safetensors",
        "file_size": 34784,
        "name": "Wool felt",
        "description": "Felt toys, my Invoke text",
        "source": "https://civitai.com/api/download/models/401571",
        "source_type": "url",
        "trigger_phrases": ["wool felt"],
        "default_settings": {"weight": 0.8},
        "hash": f"blake3:{FELT}",
    }
    invoke(tmp_path, felt)
    cover = model(tmp_path / "models" / "model_images" / "7e01.webp")

    (record,) = read(InvokeAiReader(), tmp_path, tmp_path / "here", tmp_path).records

    assert record.models == (str(tmp_path / "here/loras/felt.safetensors"),)
    assert record.meaning.title == "Wool felt"
    assert record.meaning.description == Text("Felt toys, my Invoke text")
    assert record.meaning.base_model == "sdxl"
    assert record.meaning.trigger_words == ("wool felt",)
    assert record.meaning.weight == Weight(0.8)
    assert record.meaning.origins[0].url == felt["source"]
    assert [(claim.kind, claim.value, claim.grade) for claim in record.claims] == [(HashKind.BLAKE3, FELT, Grade.B)]
    assert [(image.path, image.rank) for image in record.images] == [(str(cover), ImageRank.THUMBNAIL)]
    assert (record.size_bytes, record.raw["trigger_phrases"]) == (34784, ["wool felt"])


@pytest.mark.parametrize(
    ("path", "stored", "expected"),
    [
        ("a.safetensors", f"sha256:{FELT}", [HashKind.SHA256]),
        ("a.safetensors", f"random:{FELT}", []),
        ("a.safetensors", "", []),
        ("a-folder", f"sha256:{FELT}", []),
        ("a.safetensors", "blake3:" + "0" * 64, []),
    ],
)
def test_only_hashes_of_whole_files_are_claims(
    tmp_path: Path, path: str, stored: str, expected: list[HashKind]
) -> None:
    source = invoke(tmp_path, {"path": path, "hash": stored})
    (record,) = read(InvokeAiReader(), source, tmp_path, tmp_path).records

    assert [claim.kind for claim in record.claims] == expected


def test_relative_paths_begin_where_the_version_put_its_models(tmp_path: Path) -> None:
    model(tmp_path / "autoimport" / "old.safetensors")
    invoke(
        tmp_path,
        {"path": "7e01/new.safetensors"},
        {"path": "autoimport/old.safetensors"},
        {"path": "../../etc/x.pt"},
        {"path": f"{'a' * 300}.safetensors", "key": "k" * 300},
    )

    found = by_model(read(InvokeAiReader(), tmp_path, tmp_path, tmp_path))

    assert found["new.safetensors"].models == (str(tmp_path / "models/7e01/new.safetensors"),)
    assert found["old.safetensors"].models == (str(tmp_path / "autoimport/old.safetensors"),)
    assert "x.pt" not in found


def test_a_repository_is_where_a_model_comes_from(tmp_path: Path) -> None:
    source = {"source": "ida-roth/nimbus-flux::nimbus-Q4_K.gguf", "source_type": "hf_repo_id", "path": "n.gguf"}
    invoke(tmp_path, source)
    (record,) = read(InvokeAiReader(), tmp_path, tmp_path, tmp_path).records

    assert record.meaning.origins[0].url == "https://huggingface.co/ida-roth/nimbus-flux"


def test_one_bad_configuration_is_one_line_and_a_strange_database_is_refused(tmp_path: Path) -> None:
    plain = "CREATE TABLE models (id, config)"
    rows: list[dict[str, object]] = [
        {"id": "1", "config": "{"},
        {"id": "2", "config": json.dumps({"path": "a.pt"})},
        {"id": 3, "config": b"\xff"},
    ]
    database(tmp_path / "invokeai.db", plain, {"models": rows})
    content = read(InvokeAiReader(), tmp_path, tmp_path, tmp_path)

    assert (len(content.records), len(content.refusals)) == (1, 2)
    database(
        tmp_path / "b" / "invokeai.db", "CREATE TABLE t (x); CREATE VIEW models AS SELECT 1 AS id, 2 AS config", {}
    )
    with pytest.raises(SourceError, match="no table models"):
        InvokeAiReader().read(SourceOptions(tmp_path / "b", scratch=tmp_path))
