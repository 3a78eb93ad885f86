"""What the formats of JSON mean, beyond what the sample library holds."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.image_files import jpeg
from tests.sidecar_reading import MODEL, graded, read, record

from modelkeep.domain.knowledge import Grade, HashKind, Origin, SourceRecord, Text, Weight
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.versions import about
from modelkeep.importers.hash_claims import hash_of_name

SHA = "5877f99bbca74b8db2c00396bdfa53511eec3299b5f7ae07b2a391dd5384af9a"
BLAKE = "49b3636ed885f12c614b6527cbaf44b403f1fe4a9dcf8f4fae7e2f55f291f724"

# LoRA Manager

LM = {"file_name": "x", "model_name": "X", "file_path": MODEL, "sha256": SHA, "size": 7, "modified": 1.5}


def test_a_hash_of_lora_manager_is_worth_what_it_was_made_of() -> None:
    answer = {"id": 2, "modelId": 1, "files": [{}]}
    assert graded(record(".metadata.json", LM)) == [(HashKind.SHA256, Grade.B)]
    assert graded(record(".metadata.json", {**LM, "civitai": answer})) == [(HashKind.SHA256, Grade.C)]
    several = {**LM, "civitai": {**answer, "files": [{}, {}]}, "autov3": "ab" * 6}
    assert graded(record(".metadata.json", several)) == [(HashKind.SHA256, Grade.D), (HashKind.AUTOV3, Grade.D)]


def test_lora_manager_s_usage_tips_are_json_in_a_text() -> None:
    tips = {"strength": 0.8, "strength_range": "0.3-0.9", "clip_skip": 2, "clip_strength": "0.5"}
    for value in (json.dumps(tips), tips):
        said = record(".metadata.json", {**LM, "usage_tips": value})
        assert said.meaning.weight == Weight(0.8, 0.3, 0.9)
        assert said.meaning.usage_hint == "clip skip 2, clip strength 0.5"
    assert record(".metadata.json", {**LM, "usage_tips": "{'strength': 1}"}).meaning.weight == Weight()


def test_lora_manager_s_words_and_pages_unite() -> None:
    own = {"id": "short", "meta": {"prompt": "mine", "seed": 18446744073709551615}}
    answer = {"trainedWords": ["a", "b"], "customImages": [own]}
    page = "https://huggingface.co/a/b"
    said = record(".metadata.json", {**LM, "trainedWords": ["b", "c"], "civitai": answer, "hf_url": page})
    assert said.meaning.trigger_words == ("a", "b", "c")
    assert said.meaning.origins == (Origin("huggingface", url=page),)
    assert said.meaning.examples == ({"prompt": "mine", "seed": 18446744073709551615},)


def test_lora_manager_s_flags() -> None:
    said = record(".metadata.json", {**LM, "favorite": True, "exclude": True})
    assert said.meaning.favourite is True
    assert said.remarks == ("LoRA Manager leaves this model out of its list",)
    assert record(".metadata.json", {**LM, "favorite": False}).meaning.favourite is None


def test_lora_manager_s_own_name_of_an_unknown_model_is_no_title() -> None:
    assert record(".metadata.json", {**LM, "model_name": "x"}).meaning.title == ""
    assert record(".metadata.json", {**LM, "model_name": "x", "civitai": {"id": 1}}).meaning.title == "x"
    assert record(".metadata.json", LM).meaning.title == "X"


def test_the_path_that_a_sidecar_names_is_told_where_it_is_another() -> None:
    assert record(".metadata.json", LM).original_path == ""
    assert record(".metadata.json", {**LM, "file_path": "D:\\x.safetensors"}).original_path == "D:\\x.safetensors"


def test_a_metadata_json_of_another_tool_is_passed_by() -> None:
    assert read(".metadata.json", {"total_size": 5, "weight_map": {}}, MODEL) is None
    assert isinstance(read(".metadata.json", {"file_name": "x"}, MODEL), Refusal)


# Civitai Helper

VERSION = {
    "id": 2,
    "modelId": 1,
    "name": "v1",
    "trainedWords": ["w"],
    "files": [{"name": "x.safetensors", "sizeKB": 2.5, "hashes": {"SHA256": SHA.upper(), "CRC32": "ABCDEF01"}}],
    "model": {"name": "X", "allowNoCredit": False, "allowCommercialUse": ["Sell"], "tags": ["t", "t", 5]},
    "creator": "{}",
}


@pytest.mark.parametrize("suffix", [".civitai.info", ".json"])
def test_an_answer_about_a_version_whatever_its_suffix(suffix: str) -> None:
    said = record(suffix, VERSION)
    assert said.kind == "civitai-helper"
    assert graded(said) == [(HashKind.SHA256, Grade.C), (HashKind.CRC32, Grade.C)]
    assert (said.size_bytes, said.meaning.tags, said.meaning.author) == (2560, ("t",), "")
    assert said.meaning.licence == "allowNoCredit: no, allowCommercialUse: Sell"


@pytest.mark.parametrize(
    ("written", "known"),
    [(2**53 + 1, str(2**53 + 1)), (str(2**60 + 1), str(2**60 + 1)), ("12", "12"), (12.0, "12"), (2**63, "")]
    + [(nothing, "") for nothing in (0, -1, True, "x", "", None, [1], 1e400)],
)
def test_an_id_is_known_to_its_last_digit(written: object, known: str) -> None:
    (origin,) = record(".civitai.info", {**VERSION, "modelId": 7, "id": written}).meaning.origins
    assert (origin.model_id, origin.version_id) == ("7", known)


def test_the_old_name_of_a_version_s_description_is_understood() -> None:
    said = record(".civitai.info", {**VERSION, "version info": "<p>a</p>"})
    assert said.meaning.version_description.value == "<p>a</p>"


def test_a_skeleton_s_short_sha256_is_an_autov3() -> None:
    skeleton = {"skeleton_file": True, "files": [{"hashes": {"SHA256": "4A6AB54B5401"}}], "model": {"name": "x"}}
    assert graded(record(".civitai.info", skeleton)) == [(HashKind.AUTOV3, Grade.D)]


# STEM.json


@pytest.mark.parametrize(
    "value",
    [
        {"description": "mine"},
        {"sha256": SHA},
        {"preferred weight": 0},
        {"vae_te": ["clip_l"]},
        {"modelId": 5, "sha256": None},
        {"modelId": 5},
        {"extensions": {"sd_civitai_helper": {"version": "1"}}},
    ],
)
def test_user_metadata_of_the_web_uis_is_known_by_its_keys(value: dict[str, Any]) -> None:
    assert record(".json", value).kind == "webui"


@pytest.mark.parametrize(
    "value", [{"_class_name": "VAE"}, {"nodes": [], "links": []}, [1], "text", None, {"extensions": {"other": {}}}]
)
def test_other_json_is_passed_by(value: object) -> None:
    assert read(".json", value, MODEL) is None


def test_without_a_model_json_has_to_be_nothing_but_user_metadata() -> None:
    assert read(".json", {"description": "of a package", "version": "1"}) is None
    assert read(".json", {"modelId": 5}) is None
    assert read(".json", b'{"description": ') is None
    for value in ({"description": "mine", "notes": ""}, {"activation text": "a", "other": 1}):
        assert isinstance(read(".json", value), SourceRecord)


def test_hashes_and_fields_of_civitai_browser_plus() -> None:
    upper = record(".json", {"modelId": 5, "modelVersionId": "6", "sha256": SHA.upper()})
    assert graded(upper) == [(HashKind.SHA256, Grade.C)]
    assert upper.meaning.origins == (Origin("civitai", "5", "6", "https://civitai.com/models/5?modelVersionId=6"),)
    assert graded(record(".json", {"sha256": SHA})) == [(HashKind.SHA256, Grade.B)]
    assert graded(record(".json", {"sha256": SHA, "unpackList": ["a.safetensors"]})) == [(HashKind.SHA256, Grade.D)]


@pytest.mark.parametrize(
    ("written_by", "is_owned"),
    [({}, True), ({"extensions": {"sd_civitai_helper": {"version": "1"}}}, False), ({"modelId": 5}, False)],
)
def test_texts_with_tags_are_the_user_s_unless_an_extension_put_them_there(
    written_by: dict[str, Any], is_owned: bool
) -> None:
    said = record(".json", {"description": "<p>a</p>", "notes": "plain", "sha256": None, **written_by})
    assert ("description" in said.owned) is is_owned
    assert "notes" in said.owned


CLEANED = "<!--\nSoft toys.\n\nWith eyes <3\n-->"
"""What Civitai Helper makes of a text of Civitai where it is told to clean HTML."""


def test_texts_that_civitai_helper_cleaned_are_plain_and_nobody_s_own() -> None:
    plain = Text("Soft toys.\n\nWith eyes <3")
    helper = {"sd_civitai_helper": {"version": "1.8.7"}}

    said = record(".json", {"description": CLEANED, "notes": CLEANED, "extensions": helper})
    answer = record(".civitai.info", {**VERSION, "description": CLEANED, "model": {"description": "<!--\n\n-->"}})

    assert (said.meaning.description, said.meaning.notes) == (plain, plain.value)
    assert not {"description", "notes"} & said.owned
    assert (answer.meaning.version_description, answer.meaning.description) == (plain, Text())


def test_a_hash_of_the_file_s_name_is_not_used() -> None:
    said = record(".json", {"sha256": hash_of_name("x.safetensors")})
    assert said.claims == ()
    assert "the hash of the file's name" in said.remarks[0]


def test_what_forge_keeps_of_a_checkpoint() -> None:
    said = record(".json", {"sd_version_str": "SdVersion.SDXL", "vae_te": ["a.safetensors", "b"], "vae": "Automatic"})
    assert said.meaning.base_model == "SDXL"
    assert said.meaning.usage_hint == "VAE / text encoder: a.safetensors, b"


def test_a_weight_of_nought_is_none() -> None:
    assert record(".json", {"preferred weight": 0}).meaning.weight == Weight()
    assert record(".json", {"preferred weight": "0.5"}).meaning.weight == Weight(0.5)


# Answers about a model


def versions(*names: str) -> list[dict[str, Any]]:
    files = [{"name": name, "hashes": {"SHA256": digit * 64}} for name, digit in zip(names, "ab", strict=True)]
    return [{"id": number, "name": f"v{number}", "files": [file]} for number, file in enumerate(files, 2)]


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".json", "sdnext"), (".api_info.json", "webui"), (".civitai.info", "civitai-helper")]
)
def test_of_several_versions_what_holds_for_all_is_the_meaning_until_a_content_tells(suffix: str, kind: str) -> None:
    answer = {"id": 1, "name": "X", "tags": {"a": 1}, "modelVersions": versions("x.safetensors", "y.ckpt")}
    said = record(suffix, answer)
    assert (said.kind, said.meaning.title, said.meaning.version, said.meaning.tags) == (kind, "X", "", ("a",))
    assert said.meaning.origins[0].url == "https://civitai.com/models/1"
    assert [(claim.value[0], claim.grade) for claim in said.claims] == [("a", Grade.C), ("b", Grade.D)]
    by_name, by_hash = (about(said, {HashKind.SHA256: digit * 64}, 1) for digit in "cb")
    assert (by_name.meaning.title, by_name.meaning.version, by_hash.meaning.version) == ("X", "v2", "v3")
    assert by_hash.meaning.origins[0].url == "https://civitai.com/models/1?modelVersionId=3"
    assert by_hash.remarks == said.remarks == ()


def test_where_no_name_tells_of_a_version_no_hash_is_worth_more_than_others() -> None:
    said = record(".json", {"id": 1, "name": "X", "modelVersions": versions("y.safetensors", "z.ckpt")})
    assert [(claim.value[0], claim.grade) for claim in said.claims] == [("a", Grade.D), ("b", Grade.D)]
    assert "which of its 2 versions" in about(said, {HashKind.SHA256: "c" * 64}, 1).remarks[0]


def test_an_only_version_is_taken_as_it_is() -> None:
    said = record(".json", {"id": 1, "name": "X", "modelVersions": versions("y.safetensors", "z.ckpt")[:1]})
    assert (said.meaning.version, said.versions) == ("v2", ())


@pytest.mark.parametrize("suffix", [".civitai.info", ".metadata.json"])
def test_of_an_answer_with_several_files_it_is_said_where_none_is_the_content(suffix: str) -> None:
    answer = {"id": 2, "modelId": 1, "name": "v2", "updatedAt": "2024-01-01T00:00:00Z", "trainedWords": ["w"]}
    answer["files"] = [{"name": name, "hashes": {"SHA256": name[0] * 64}} for name in ("a.pt", "b.pt")]
    known = {"file_name": "x", "model_name": "X", "file_path": "/x", "sha256": "a" * 64, "civitai": answer}
    said = record(suffix, answer if suffix == ".civitai.info" else known)
    own, other = (about(said, {HashKind.SHA256: digit * 64}, 1) for digit in "bc")
    assert own == replace(said, versions=())
    assert other == replace(own, remarks=other.remarks)
    assert "none of its files" in other.remarks[0]


# StabilityMatrix, SwarmUI, rgthree


def test_a_lower_case_blake3_was_made_here() -> None:
    said = record(".cm-info.json", {"ModelId": None, "Hashes": {"SHA256": None, "BLAKE3": BLAKE}})
    assert graded(said) == [(HashKind.BLAKE3, Grade.B)]
    said = record(".cm-info.json", {"ModelId": 1, "Hashes": {"BLAKE3": BLAKE.upper()}})
    assert graded(said) == [(HashKind.BLAKE3, Grade.C)]


def test_what_stability_matrix_says_of_use_and_source() -> None:
    defaults = {"Sampler": {"Name": "euler"}, "Steps": 30, "CfgScale": 5.5, "Width": 832, "Height": 1216}
    value = {"ModelId": 5, "Source": 1, "SourceUrl": "https://openmodeldb.info/x", "InferenceDefaults": defaults}
    said = record(".cm-info.json", value)
    assert said.meaning.usage_hint == "euler, 30 steps, cfg 5.5, 832x1216"
    assert said.meaning.origins == (Origin("url", url="https://openmodeldb.info/x"),)


@pytest.mark.parametrize("wrong", [{"ModelId": "12"}, {"VersionId": 1.5}, {"Hashes": None}, {"RemoteFileId": True}])
def test_what_stability_matrix_could_not_read_is_refused(wrong: dict[str, Any]) -> None:
    assert isinstance(read(".cm-info.json", {"ModelName": "X", **wrong}, MODEL), Refusal)


def test_swarmui_s_words_for_nothing_are_nothing() -> None:
    value = {"modelspec.title": "None", "modelspec.author": "null", "modelspec.tags": "a, b", "modelspec.hash": "0x"}
    said = record(".swarm.json", value)
    assert (said.meaning.title, said.meaning.author, said.meaning.tags) == ("", "", ("a", "b"))
    assert said.claims == ()


def test_swarmui_s_preview_stands_in_its_sidecar() -> None:
    image = f"data:image/jpeg;base64,{base64.b64encode(jpeg()).decode()}"
    said = record(".swarm.json", {"modelspec.title": "X", "modelspec.preview_image": image})
    assert [each.path for each in said.images] == ["/m/x.swarm.json#modelspec.preview_image"]
    for other in ("None", "/imgs/model_placeholder.jpg", "data:image/png;base64,%%", "data:text/html;base64,QQ==", 5):
        assert record(".swarm.json", {"modelspec.preview_image": other}).images == ()


def test_rgthree_s_own_file_may_hold_comments_and_old_words() -> None:
    links = b'["x", "https://civitai.com/models/4/name"]'
    said = record(".rgthree-info.json", b'{\n  // mine\n"userNote": "n", "triggerWords": ["a"], "links": %b}' % links)
    assert (said.meaning.notes, said.meaning.trigger_words) == ("n", ("a",))
    assert said.meaning.origins == (Origin("civitai", "4", "", "https://civitai.com/models/4"),)


def test_rgthree_s_words_of_the_training_data_are_no_trigger_words() -> None:
    trained = {"word": "a", "metadata": True}
    words = [trained, {**trained, "word": "b", "user": True}, {"word": "c", "civitai": True}]
    assert record(".rgthree-info.json", {"trainedWords": words}).meaning.trigger_words == ("b", "c")
