"""Every line of the sample library's truth that concerns files beside models, straight on the readers."""

from functools import cache
from typing import Any

import pytest
from tests.sidecar_library import KINDS, OTHER_SOURCES, SAYS, SIDECAR_SAMPLE, TRUTH, expected_of

from modelkeep.domain.knowledge import HashKind, ImageRank, SourceRecord, TextFormat, meaning_as_json
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import MODEL_EXTENSIONS
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.formats import read_sidecar
from modelkeep.importers.sidecars.reading import NOT_FINITE, not_utf8
from modelkeep.importers.sidecars.walking import sidecars_below

MODELS = SIDECAR_SAMPLE / "models"
BY_PATH = {model["path"]: model for model in TRUTH["models"]}


@cache
def found() -> dict[str, FoundSidecar]:
    sidecars = sidecars_below(str(MODELS), MODEL_EXTENSIONS).found
    return {sidecar.path.removeprefix(f"{MODELS}/"): sidecar for sidecar in sidecars}


@cache
def read(path: str) -> SourceRecord | Refusal | None:
    return read_sidecar(found()[path])


def record(path: str) -> SourceRecord:
    said = read(path)
    assert isinstance(said, SourceRecord), said
    return said


def models_of(path: str) -> list[str]:
    return [model.removeprefix(f"{MODELS}/") for model in found()[path].models]


def cases(key: str) -> list[Any]:
    """Return (model, entry of `key`) of all models."""
    return [
        pytest.param(
            model["path"],
            entry,
            id=f"{model['path']}-{number}-{entry.get('tool', entry.get('path', ''))}",
        )
        for model in TRUTH["models"]
        for number, entry in enumerate(model[key])
    ]


def test_everything_that_is_found_stands_in_the_truth() -> None:
    told = {sidecar["path"] for model in TRUTH["models"] for sidecar in model["sidecars"]}
    told |= {preview["path"] for model in TRUTH["models"] for preview in model["previews"]}
    told |= {one["path"] for key in ("orphans", "refused") for one in TRUTH[key]}
    assert set(found()) == told


@pytest.mark.parametrize(("model", "sidecar"), cases("sidecars"))
def test_a_sidecar_belongs_to_its_model(model: str, sidecar: dict[str, Any]) -> None:
    path = sidecar["path"]
    sharing = [other["path"] for other in TRUTH["models"] if any(path == one["path"] for one in other["sidecars"])]
    assert models_of(path) == sorted(sharing)
    said = read(path)
    if sidecar.get("empty"):
        assert said is None
    else:
        assert record(path).kind == KINDS.get(sidecar["tool"], sidecar["tool"])
        assert record(path).models == found()[path].models


REMARKS = {
    "loras/windy.sha256": "its SHA-256 is that of the file's name, not of its content",
    "loras/character/café.metadata.json": not_utf8("cp1252"),
    "loras/Copper Dream.json": not_utf8("cp1252"),
    "loras/windy.txt": not_utf8("cp1252"),
    "loras/style/nan strength.metadata.json": NOT_FINITE,
}


@pytest.mark.parametrize("path", sorted(REMARKS))
def test_what_is_odd_is_remarked(path: str) -> None:
    assert REMARKS[path] in record(path).remarks


def test_what_is_not_odd_is_not_remarked() -> None:
    odd = {path for path in found() if isinstance(said := read(path), SourceRecord) and said.remarks}
    worthless = {
        claim["from"]
        for model in TRUTH["models"]
        for claim in model["claims"]
        if "worthless" in claim and claim["from"] in found()
    }
    orphans = {"loras/Ghost Town.civitai.info", "loras/character/lamp old.civitai.info"}  # AutoV1 of nothing too
    assert odd == worthless | orphans | REMARKS.keys()


@pytest.mark.parametrize(("model", "expected"), cases("expected"))
def test_what_a_tool_says_of_a_model(model: str, expected: dict[str, Any]) -> None:
    if expected["tool"] in OTHER_SOURCES:
        return
    paths = [
        one["path"] for one in BY_PATH[model]["sidecars"] if one["tool"] == expected["tool"] and not one.get("empty")
    ]
    assert len(paths) == 1
    said = record(paths[0])
    meaning = meaning_as_json(said.meaning)
    assert {key: SAYS[key](meaning, said.raw) for key in expected.keys() - {"tool"}} == expected_of(expected)


def test_the_words_of_an_activation_text_are_its_prompts() -> None:
    assert record("loras/style/ember_eyes-v1.0.json").meaning.trigger_words == ("ember eyes, glowing", "firelight")
    assert record("loras/style/Ink Wash Style.json").meaning.trigger_words == ("inkwash style",)


def test_whose_words_they_are() -> None:
    assert "description" in record("loras/style/Ink Wash Style.json").owned
    assert not {"description", "notes"} & record("loras/script.json").owned
    assert "title" in record("checkpoints/夜明け_v3.cm-info.json").owned
    assert "title" not in record("checkpoints/xl/aurora-mix.v2.1.fp16.cm-info.json").owned
    for path in ("loras/style/wool felt.metadata.json", "loras/rg_note.safetensors.rgthree-info.json", "loras/a.txt"):
        assert "notes" in record(path).owned


def test_texts_bear_their_format_and_stay_as_they_are() -> None:
    assert record("loras/script.civitai.info").meaning.description.format is TextFormat.HTML
    assert record("checkpoints/Nimbus-Q4_K.md").meaning.description.format is TextFormat.MARKDOWN
    assert record("loras/style/Ink Wash Style.json").meaning.description.format is TextFormat.PLAIN


@pytest.mark.parametrize(("model", "claim"), cases("claims"))
def test_a_hash_is_claimed_or_told_to_be_worthless(model: str, claim: dict[str, Any]) -> None:
    if claim["from"].startswith("tools/"):
        return
    kind = HashKind(claim["kind"].replace("tensor_sha256", "tensor-sha256"))
    claimed = {(one.kind, one.value): one.grade for one in record(claim["from"]).claims}
    if "worthless" in claim:
        assert (kind, claim["value"]) not in claimed
        assert any("the hash of nothing" in remark for remark in record(claim["from"]).remarks)
    else:
        assert (kind, claim["value"]) in claimed


def test_no_other_hash_is_claimed() -> None:
    told = {(claim["from"], claim["value"]) for model in TRUTH["models"] for claim in model["claims"]}
    orphans = {one["path"] for one in TRUTH["orphans"]}
    claimed = {
        (path, claim.value)
        for path in found()
        if path not in orphans and isinstance(said := read(path), SourceRecord)
        for claim in said.claims
    }
    assert claimed <= told


@pytest.mark.parametrize(("model", "preview"), cases("previews"))
def test_a_preview_belongs_to_its_model(model: str, preview: dict[str, Any]) -> None:
    said = record(preview["path"])
    assert said.kind == "preview"
    assert said.digest == preview["sha256"]
    assert models_of(preview["path"]) == sorted([model, *preview.get("ambiguous_with", [])])
    assert [image.path for image in said.images] == [said.key]
    assert (said.images[0].rank is ImageRank.THUMBNAIL) == preview.get("derived", False)
    assert bool(said.meaning.examples) == preview.get("prompt", False)


@pytest.mark.parametrize("orphan", TRUTH["orphans"], ids=lambda orphan: orphan["path"])
def test_an_orphan_is_kept_with_what_may_find_its_model(orphan: dict[str, Any]) -> None:
    said = record(orphan["path"])
    assert said.models == ()
    assert said.stem
    assert orphan["path"].rpartition("/")[2].startswith(said.stem)
    by_hash = {model["path"] for model in TRUTH["models"] for claim in said.claims if claim.value == model["sha256"]}
    assert by_hash == ({orphan["matches_by_hash"]} if orphan["matches_by_hash"] else set())
    for key in ("title", "description"):
        if key in orphan:
            assert SAYS[key](meaning_as_json(said.meaning), said.raw) == orphan[key]


REASONS = {
    "truncated JSON": "truncated",
    "SHA-256 of nothing": "hash of nothing",
    "not a hash": "not a hash",
    "unsafe YAML tag": "unsafe tag",
    "required fields missing or of the wrong type": "required fields are missing or of the wrong type",
    "StabilityMatrix file that its own strict reader rejects (string id, null Hashes)": "ModelId is no whole number",
}


@pytest.mark.parametrize("refused", TRUTH["refused"], ids=lambda refused: refused["path"])
def test_what_is_refused_is_one_line_and_what_is_not_ours_is_passed_by(refused: dict[str, Any]) -> None:
    said = read(refused["path"])
    if refused.get("silent"):
        assert said is None
    else:
        assert isinstance(said, Refusal)
        assert REASONS[refused["reason"]] in said.reason
        assert said.path == str(MODELS / refused["path"])
