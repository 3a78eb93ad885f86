import json
from pathlib import Path

import pytest
from tests.tool_databases import OLD_FOLDER, by_model, database, json_file, model, read

from modelkeep.domain.knowledge import Grade, HashKind, ImageRank, Meaning, Weight
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.lora_manager import LoraManagerReader
from modelkeep.importers.registry import importer_for

TABLES = """
CREATE TABLE models (model_type TEXT, file_path TEXT, file_name TEXT, model_name TEXT, size INTEGER, sha256 TEXT,
    autov3 TEXT, base_model TEXT, favorite INTEGER, notes TEXT, usage_tips TEXT, civitai_id INTEGER,
    civitai_model_id INTEGER, civitai_name TEXT, civitai_creator_username TEXT, trained_words TEXT, exclude INTEGER,
    PRIMARY KEY (model_type, file_path));
CREATE TABLE model_tags (model_type TEXT, file_path TEXT, tag TEXT);
"""
FELT, OTHER = "40dc17080351bc7a671a59358ba693cf1597f45ee9d35229dcd0ebc605511cea", "9a52503b7d10c62a" * 4
FELT_ROW = {
    "model_type": "lora",
    "file_path": f"{OLD_FOLDER}/loras/wool felt.safetensors",
    "file_name": "wool felt",
    "model_name": "Wool Felt",
    "size": 34784,
    "sha256": FELT,
    "autov3": "4a6ab54b5401",
    "base_model": "SDXL 1.0",
    "favorite": 1,
    "notes": "Mix with paper at 0.5.",
    "usage_tips": '{"strength": 0.8, "strength_range": "0.3-0.9"}',
    "civitai_id": 401571,
    "civitai_model_id": 401584,
    "civitai_name": "v1.2",
    "civitai_creator_username": "noor_b",
    "trained_words": '["wool felt"]',
    "exclude": 0,
}
LOST_ROW = {
    "model_type": "lora",
    "file_path": f"{OLD_FOLDER}/loras/lost notes.safetensors",
    "file_name": "lost notes",
    "model_name": "lost notes",
    "sha256": OTHER,
    "base_model": "Unknown",
    "favorite": 0,
    "notes": "only the cache remembers this",
    "usage_tips": "{}",
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("wool felt", "lost notes"):
        model(tmp_path / "models" / "loras" / f"{name}.safetensors")
    return tmp_path / "models"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    tags = [{"model_type": "lora", "file_path": FELT_ROW["file_path"], "tag": tag} for tag in ("style", "my pick")]
    rows = {"models": [FELT_ROW, LOST_ROW], "model_tags": tags}
    return database(tmp_path / "tool" / "cache" / "model" / "default.sqlite", TABLES, rows)


def test_what_only_the_cache_still_has_is_taken_whole(tmp_path: Path, models: Path, cache: Path) -> None:
    record = by_model(read(LoraManagerReader(), tmp_path / "tool", models, tmp_path))["wool felt.safetensors"]

    assert record.meaning.title == "Wool Felt"
    assert record.meaning.notes == "Mix with paper at 0.5."
    assert record.meaning.tags == ("style", "my pick")
    assert record.meaning.trigger_words == ("wool felt",)
    assert record.meaning.favourite is True
    assert record.meaning.weight == Weight(0.8, 0.3, 0.9)
    assert record.meaning.origins[0].url == "https://civitai.com/models/401584?modelVersionId=401571"
    assert {"notes", "favourite"} <= record.owned
    assert [(claim.kind, claim.grade) for claim in record.claims] == [
        (HashKind.SHA256, Grade.C),
        (HashKind.AUTOV3, Grade.C),
    ]
    assert record.original_path == FELT_ROW["file_path"]


def test_a_path_that_is_none_still_makes_a_record_that_can_be_kept(tmp_path: Path, models: Path) -> None:
    cache = database(
        tmp_path / "x.sqlite", TABLES, {"models": [{**FELT_ROW, "file_path": b"\xff\0.pt", "notes": b"\0"}]}
    )
    (record,) = read(LoraManagerReader(), cache, models, tmp_path).records
    assert "\0" not in record.key + record.stem + record.original_path + record.meaning.notes
    assert record.models == ()


def test_a_name_of_the_file_and_an_unknown_base_model_say_nothing(tmp_path: Path, models: Path, cache: Path) -> None:
    record = by_model(read(LoraManagerReader(), cache, models, tmp_path))["lost notes.safetensors"]

    assert record.meaning == Meaning(notes="only the cache remembers this")
    assert record.claims[0].grade is Grade.B


def test_beside_a_sidecar_the_cache_only_claims_hashes(tmp_path: Path, models: Path, cache: Path) -> None:
    json_file(models / "loras" / "wool felt.metadata.json", {"file_name": "wool felt"})
    (models / "loras" / "lost notes.metadata.json").write_text("{ cut")

    found = by_model(read(LoraManagerReader(), cache, models, tmp_path))

    assert found["wool felt.safetensors"].meaning == Meaning()
    assert found["wool felt.safetensors"].claims
    assert found["lost notes.safetensors"].meaning.notes


def test_a_path_of_another_machine_is_data(tmp_path: Path) -> None:
    row = {"model_type": "lora", "file_path": "D:\\models\\felt.safetensors", "sha256": FELT, "notes": "n"}
    cache = database(tmp_path / "default.sqlite", TABLES, {"models": [row]})

    (record,) = read(LoraManagerReader(), cache, tmp_path, tmp_path).records

    assert (record.models, record.original_path, record.stem) == ((), "D:\\models\\felt.safetensors", "felt")


def settings_with_secrets(tmp_path: Path, models: Path) -> SourceContent:
    examples = tmp_path / "examples" / "default" / FELT
    for name in ("image_2.webp", "image_10.jpeg", "image_\u00b2.png", "custom_ab12.png", ".download_progress.json"):
        model(examples / name)
    recipe = {
        "title": "Toy shelf",
        "loras": [{"file_name": "wool felt", "hash": FELT.upper(), "strength": 0.7}, {"hash": ""}, {"hash": FELT}],
        "gen_params": {"prompt": "wool felt fox", "negative_prompt": "blurry", "steps": 20, "seed": 2**60, "x": [1]},
    }
    json_file(tmp_path / "recipes" / "a-b.recipe.json", recipe)
    model(tmp_path / "recipes" / "a-b.webp")
    (tmp_path / "recipes" / "broken.recipe.json").write_text("[")
    values = {
        "civitai_api_key": "SECRET",
        "libraries": {"default": {"recipes_path": f"{OLD_FOLDER}/../recipes"}},
        "example_images_path": str(tmp_path / "examples"),
    }
    json_file(tmp_path / "settings" / "settings.json", values)
    return read(LoraManagerReader(), tmp_path / "settings", models, tmp_path)


def test_a_recipe_is_an_example_prompt_of_each_model_that_it_names(tmp_path: Path, models: Path) -> None:
    json_file(tmp_path / "recipes" / "a.recipe.json", {"loras": [{"hash": FELT}], "gen_params": {"prompt": "fox"}})

    (record,) = read(LoraManagerReader(), tmp_path / "recipes", models, tmp_path).records

    assert record.models == ()
    assert record.claims[0].value == FELT
    assert record.meaning.examples == ({"prompt": "fox"},)


def test_settings_lead_to_examples_and_nothing_else_of_them_is_kept(tmp_path: Path, models: Path) -> None:
    content = settings_with_secrets(tmp_path, models)

    (examples,) = (record for record in content.records if record.raw.get("images"))
    assert [(Path(image.path).name, image.rank) for image in examples.images] == [
        ("custom_ab12.png", ImageRank.OWN),
        ("image_\u00b2.png", ImageRank.EXAMPLE),
        ("image_2.webp", ImageRank.EXAMPLE),
        ("image_10.jpeg", ImageRank.EXAMPLE),
    ]
    assert examples.claims[0].value == FELT
    assert "SECRET" not in repr(content)


def test_a_folder_of_examples_that_cannot_be_read_costs_no_other_anything(tmp_path: Path, models: Path) -> None:
    for sha256 in (FELT, OTHER):
        model(tmp_path / "examples" / sha256 / "image_1.png")
    model(tmp_path / "examples" / ("0" * 64))

    content = read(LoraManagerReader(), tmp_path / "examples", models, tmp_path)

    assert {record.claims[0].value for record in content.records} == {FELT, OTHER}
    assert [refusal.path for refusal in content.refusals] == [str(tmp_path / "examples" / ("0" * 64))]


def test_another_database_is_refused_and_other_folders_are_not_ours(tmp_path: Path) -> None:
    other = database(tmp_path / "other.sqlite", "CREATE TABLE models (id)", {})
    with pytest.raises(SourceError, match="no cache of LoRA Manager"):
        LoraManagerReader().read(SourceOptions(other, scratch=tmp_path))
    assert LoraManagerReader().read(SourceOptions(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("is_named", [True, False])
def test_sidecars_that_are_kept_in_one_place_belong_to_the_models_that_they_name(
    tmp_path: Path, models: Path, is_named: bool
) -> None:
    settings = tmp_path / "settings"
    store = tmp_path / "all sidecars" if is_named else settings / "sidecars"
    mirror = store / "loras-1a2b3c4d" / "toys"
    required = {"file_name": "wool felt", "model_name": "Wool Felt", "file_path": FELT_ROW["file_path"], "sha256": ""}
    noted = json.dumps({**required, "notes": "kept apart \u58a8\u753b"}, ensure_ascii=False)
    json_file(mirror / "wool felt.metadata.json", {}).write_bytes(noted.encode("gbk"))
    model(mirror / "wool felt.webp")
    (mirror / "broken.metadata.json").write_text("{")
    json_file(mirror / "gone.metadata.json", {**required, "file_path": "", "sha256": OTHER})
    json_file(store / ".lm-sidecar-roots.json", {"version": 1, "roots": {}})
    named = (
        {"sidecar_storage_mode": "centralized", "sidecar_storage_path": str(store)}
        if is_named
        else {"recipes_path": f"/{'a' * 300}"}
    )
    json_file(settings / "settings.json", {"llm_api_key": "SECRET", **named})
    mapping = PathMap(((OLD_FOLDER, str(models)),))

    options = SourceOptions(settings, path_map=mapping, scratch=tmp_path, fallback_encoding="gbk")
    content = importer_for("lora-manager").read(options)

    sidecar, preview, gone = sorted(content.records, key=lambda record: (record.stem != "wool felt", record.kind))
    assert sidecar.models == preview.models == (str(models / "loras" / "wool felt.safetensors"),)
    assert (sidecar.meaning.notes, sidecar.original_path) == ("kept apart \u58a8\u753b", FELT_ROW["file_path"])
    assert [image.path for image in preview.images] == [str(mirror / "wool felt.webp")]
    assert (gone.models, [claim.value for claim in gone.claims]) == ((), [OTHER])
    assert [Path(refusal.path).name for refusal in content.refusals] == ["broken.metadata.json"]
