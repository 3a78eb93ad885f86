from pathlib import Path

from tests.tool_databases import OLD_FOLDER, by_model, json_file, model, read

from modelkeep.domain.knowledge import Grade, HashKind, ImageRank, Standing
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.databases.huggingface import HuggingFaceCacheReader
from modelkeep.importers.databases.lora_sidebar import LoraSidebarReader
from modelkeep.importers.databases.readers import READERS
from modelkeep.importers.databases.rgthree import RgthreeInfoReader

FELT, OTHER = "40dc1708" * 8, "09a4751f" * 8
ANSWER = {
    "id": 401571,
    "modelId": 401584,
    "name": "v1.2",
    "updatedAt": "2024-06-03T04:05:06.789Z",
    "trainedWords": ["wool felt"],
    "baseModel": "SDXL 1.0",
    "model": {"name": "Wool Felt", "tags": ["style"]},
    "files": [{"hashes": {"SHA256": FELT.upper(), "BLAKE3": "61" * 32}}],
}


def test_answers_that_are_named_by_a_hash_are_found_by_it(tmp_path: Path) -> None:
    info = tmp_path / "userdata" / "info"
    json_file(info / f"civitai.{FELT}.json", {"url": "https://civitai.com/api", "response": ANSWER})
    json_file(info / f"civitai.{OTHER}.json", {"response": {"error": "Model not found"}})
    json_file(
        info / f"metadata.{FELT}.json", {"url": "style/felt.safetensors", "response": {"ss_output_name": "wool"}}
    )
    (info / f"metadata.{OTHER}.json").write_text("{")

    content = read(RgthreeInfoReader(), tmp_path, tmp_path, tmp_path)

    answer, header = content.records
    assert answer.models == ()
    assert (answer.meaning.title, answer.meaning.trigger_words) == ("Wool Felt", ("wool felt",))
    assert [(claim.kind, claim.grade) for claim in answer.claims] == [
        (HashKind.SHA256, Grade.B),
        (HashKind.BLAKE3, Grade.C),
    ]
    assert (header.standing, header.stem, header.claims[0].value) == (Standing.HEADER, "felt", FELT)
    assert header.meaning.title == "wool"
    assert len(content.refusals) == 1


def test_a_folder_of_lora_sidebar_tells_the_owners_words_from_copied_ones(tmp_path: Path) -> None:
    folder = tmp_path / "loraData"
    info = {
        "name": "Wool Felt",
        "modelId": 401584,
        "versionId": 401571,
        "tags": ["style"],
        "trained_words": ["wool felt"],
        "baseModel": "custom",
        "version_desc": "Custom Lora",
        "model_desc": "<p>mine</p>",
        "reco_weight": "0.7",
        "path": f"{OLD_FOLDER}/felt.safetensors",
        "user_edits": ["model_desc"],
    }
    json_file(folder / "felt" / "info.json", info)
    json_file(folder / "processed_loras.json", {"loras": [{"filename": "felt"}], "favorites": ["felt"]})
    for name in ("preview.jpeg", "mine.png"):
        model(folder / "felt" / name)
    # Models without an image get a copy of the same one.
    for name in ("preview.png", "../placeholder.jpeg"):
        model(folder / "felt" / name).write_bytes(b"no image")

    record = by_model(read(LoraSidebarReader(), tmp_path, tmp_path / "models", tmp_path))["felt.safetensors"]

    assert record.owned == {"notes", "favourite", "description"}
    assert (record.meaning.title, record.meaning.base_model, record.meaning.favourite) == ("Wool Felt", "", True)
    assert (record.meaning.version_description.value, record.meaning.weight.strength) == ("", 0.7)
    assert [image.rank for image in record.images] == [ImageRank.PREVIEW, ImageRank.EXAMPLE]


def test_links_in_a_cache_of_hugging_face_lead_to_names_that_are_hashes(tmp_path: Path) -> None:
    commit = "b9e7e89c55de02f5be944385090994afac6c0fc8"
    repository = tmp_path / "hub" / "models--ida-roth--nimbus"
    blob = model(repository / "blobs" / FELT)
    small = model(repository / "blobs" / ("ab" * 20))
    snapshot = repository / "snapshots" / commit
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "unet" / "f16.gguf").symlink_to(f"../../../blobs/{FELT}")
    (snapshot / "tiny.pt").symlink_to(f"../../blobs/{small.name}")
    (snapshot / "config.json").symlink_to(f"../../blobs/{small.name}")
    model(snapshot / "copied.safetensors")
    model(repository / "refs" / "main").write_text(commit)

    found = by_model(read(HuggingFaceCacheReader(), tmp_path, tmp_path, tmp_path))

    record = found["f16.gguf"]
    assert record.models == (str(snapshot / "unet" / "f16.gguf"), str(blob))
    assert [(claim.value, claim.grade) for claim in record.claims] == [(FELT, Grade.C)]
    assert record.meaning.origins[0].url == f"https://huggingface.co/ida-roth/nimbus/blob/{commit}/unet/f16.gguf"
    assert record.raw["refs"] == ["main"]
    assert found["tiny.pt"].claims == ()
    assert found["copied.safetensors"].claims == ()
    assert "config.json" not in found


def test_no_reader_takes_a_folder_of_something_else_for_its_own(tmp_path: Path) -> None:
    model(tmp_path / "models" / "felt.safetensors")
    json_file(tmp_path / "settings.txt", {})

    assert {kind: reader.read(SourceOptions(tmp_path)) for kind, reader in READERS.items()} == dict.fromkeys(READERS)
