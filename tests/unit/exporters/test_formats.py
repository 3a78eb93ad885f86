import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.knowledge import (
    Grade,
    HashKind,
    Meaning,
    Origin,
    SourceRecord,
    Text,
    TextFormat,
    Weight,
    meaning_as_json,
)
from modelkeep.exporters.base import NothingToSay, Order
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.registry import EXPORTERS
from modelkeep.importers.sidecars.formats import find, read_sidecar

SHA256 = "40dc17080351bc7a671a59358ba693cf1597f45ee9d35229dcd0ebc605511cea"
OTHER = "09a4751f" * 8
SAID = Meaning(
    title="Wool Felt ミオ",
    version="v1.2",
    description=Text("<p>Felted <b>toys</b> &amp; more.</p>", TextFormat.HTML),
    version_description=Text("<p>less fuzz</p>", TextFormat.HTML),
    notes="Mix with paper at 0.5.\nSecond line.",
    base_model="SDXL 1.0",
    author="noor_b",
    licence="",
    negative_prompt="photo",
    weight=Weight(0.8, 0.3, 1.0),
    favourite=True,
    tags=("craft", "style"),
    trigger_words=("wool felt", "felt toy"),
    origins=(Origin("civitai", "401584", "401571", "https://civitai.com/models/401584?modelVersionId=401571"),),
)
MODEL = KnownModel(
    SHA256,
    "/models/loras/wool felt.safetensors",
    34784,
    1_700_000_000_123,
    "loras",
    SAID,
    {"autov3": "4a6ab54b5401", "blake3": "61" * 32},
)
_ANSWERED = "title version description version_description base_model author tags trigger_words origins"
HELD_BY = {
    "lora-manager": f"{_ANSWERED} notes weight favourite",
    "civitai-helper": _ANSWERED,
    "webui": "notes negative_prompt trigger_words",
    "stability-matrix": _ANSWERED,
    "rgthree": "notes base_model tags trigger_words origins",
    "json": " ".join(meaning_as_json(SAID)),
}
"""Fields of a meaning that a format holds."""


def name_of(kind: str, model: KnownModel = MODEL) -> str:
    return EXPORTERS[kind].paths(model, Order())[0]


def written(kind: str, existing: dict[str, Any] | None = None, model: KnownModel = MODEL, **order: Any) -> bytes:
    return EXPORTERS[kind].written(name_of(kind, model), model, existing, Order(**order))


def as_object(data: bytes) -> dict[str, Any]:
    value = json.loads(data.decode("utf-8"), parse_constant=pytest.fail)
    assert isinstance(value, dict)
    return value


def read_back(kind: str, data: bytes, folder: Path) -> SourceRecord:
    """Return what this program's own reader says of a file that it finds beside the model."""
    (folder / MODEL.name).touch()
    (folder / name_of(kind)).write_bytes(data)
    (found,) = find(str(folder), [path.name for path in folder.iterdir()], (".safetensors",))
    record = read_sidecar(found)
    assert isinstance(record, SourceRecord), record
    return record


@pytest.mark.parametrize("kind", HELD_BY)
def test_what_is_written_is_read_back_with_the_same_meaning(kind: str, tmp_path: Path) -> None:
    record = read_back(kind, written(kind), tmp_path)

    for field in HELD_BY[kind].split():
        expected, found = getattr(SAID, field), getattr(record.meaning, field)
        if isinstance(expected, tuple):
            assert sorted(map(str, found)) == sorted(map(str, expected)), field
        else:
            assert found == expected, field
    assert not record.remarks


@pytest.mark.parametrize("kind", [*HELD_BY, "pysssss"])
def test_only_hashes_of_the_content_itself_are_written(kind: str, tmp_path: Path) -> None:
    answer = {
        "id": 401571,
        "modelId": 401584,
        "air": "kept",
        "files": [{"id": 1, "primary": True, "hashes": {"SHA256": OTHER}}, {"id": 2, "hashes": {"SHA256": SHA256}}],
    }
    data = written(kind, model=replace(MODEL, answer=answer))

    assert OTHER not in data.decode().lower()
    record = read_back(kind, data, tmp_path)
    right = {
        HashKind.SHA256: SHA256,
        HashKind.AUTOV2: SHA256[:10],
        HashKind.AUTOV3: "4a6ab54b5401",
        HashKind.BLAKE3: "61" * 32,
    }
    assert {claim.kind: claim.value for claim in record.claims}.items() <= right.items()
    assert all(claim.grade in (Grade.B, Grade.C) for claim in record.claims)


DERIVED = ("sha256", "autov3", "hash_status")
"""Fields of LoRA Manager and rgthree that follow from the content."""


@pytest.mark.parametrize("kind", sorted(HELD_BY.keys() - {"json"}))
def test_what_a_file_says_stays_with_every_key_in_its_place(kind: str) -> None:
    theirs: dict[str, Any] = {"zzz unknown": [1, {"deep": 2**70}], **as_object(written(kind)), "aaa unknown": None}
    texts = [key for key, value in theirs.items() if isinstance(value, str) and value and key not in DERIVED]
    changed = {key: "theirs" if key in texts else value for key, value in theirs.items()}
    kept = as_object(written(kind, changed))

    assert list(kept) == list(changed)
    assert {key: kept[key] for key in texts} == dict.fromkeys(texts, "theirs")
    assert (kept["zzz unknown"], kept["aaa unknown"]) == ([1, {"deep": 2**70}], None)
    replaced = as_object(written(kind, changed, prefer_ours=True))
    # What is not known, such as a picture beside it, is not ours to replace.
    assert all(replaced[key] == theirs[key] for key in texts if theirs[key])


@pytest.mark.parametrize("kind", HELD_BY)
def test_a_second_export_changes_nothing(kind: str) -> None:
    once = written(kind)
    assert written(kind, as_object(once)) == once


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["word", "metadata", "user", "id", "hashes", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = sorted({"zzz", "extensions", *(key for kind in HELD_BY for key in as_object(written(kind)))})


@given(st.sampled_from(list(HELD_BY)), st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=6), st.booleans())
def test_whatever_a_file_holds_is_completed_once_with_its_keys_in_their_places(
    kind: str, held: dict[str, Any], prefer_ours: bool
) -> None:
    try:
        once = written(kind, held, prefer_ours=prefer_ours)
    except NothingToSay:
        return
    value = as_object(once)

    assert [key for key in value if key in held] == list(held)
    assert written(kind, value, prefer_ours=prefer_ours) == once


def test_lora_manager_gets_its_eight_fields_whatever_is_known() -> None:
    required = {
        "file_name": str,
        "model_name": str,
        "file_path": str,
        "size": int,
        "modified": float,
        "sha256": str,
        "base_model": str,
        "preview_url": str,
    }
    bare = KnownModel(SHA256, "/m/a b.v1.safetensors", 5, 1)
    for existing in (None, {}, dict.fromkeys(required)):
        value = as_object(written("lora-manager", existing, bare))
        assert {key: type(value[key]) for key in required} == required
        assert (value["file_name"], value["model_name"]) == ("a b.v1", "a b.v1")
        assert (value["sha256"], value["hash_status"]) == (SHA256, "completed")
    assert isinstance(as_object(written("lora-manager"))["usage_tips"], str)


def test_a_hash_that_is_not_the_file_s_is_replaced_and_nothing_else() -> None:
    digests = {"autov3": "c" * 12, "blake3": "d" * 64}
    model = replace(MODEL, digests=digests)
    lora_manager = {"sha256": OTHER, "hash_status": "completed", "autov3": "e" * 12, "notes": "mine"}
    matrix = {"Hashes": {"SHA256": OTHER.upper(), "BLAKE3": "E" * 64, "CRC32": "12345678"}, "VersionName": "theirs"}

    mended = as_object(written("lora-manager", lora_manager, model))
    assert (mended["sha256"], mended["hash_status"], mended["autov3"]) == (SHA256, "completed", "c" * 12)
    assert mended["notes"] == "mine"
    unread = as_object(written("lora-manager", lora_manager, replace(MODEL, digests={})))
    assert unread["autov3"] == "e" * 12, "nobody has read that it has another"
    pending = as_object(written("lora-manager", {"hash_status": "pending", "sha256": ""}))
    assert (pending["sha256"], pending["hash_status"]) == (SHA256, "completed")
    told = as_object(written("rgthree", {"sha256": OTHER, "userNote": "mine"}))
    assert (told["sha256"], told["userNote"]) == (SHA256, "mine")
    listed = as_object(written("stability-matrix", matrix, model))
    assert listed["Hashes"] == {"SHA256": SHA256.upper(), "BLAKE3": "D" * 64, "CRC32": "12345678"}
    assert listed["VersionName"] == "theirs"
    same = {"Hashes": {"SHA256": SHA256}}
    assert as_object(written("stability-matrix", same, model))["Hashes"]["SHA256"] == SHA256, "as they spell it"


@pytest.mark.parametrize(
    ("created_at", "written_as"),
    [(1_700_000_000_123, "2023-11-14T22:13:20.1230000+00:00"), (2**63 - 1, "9999-12-31T23:59:59.0000000+00:00")],
)
def test_stability_matrix_gets_a_time_that_it_can_read(created_at: int, written_as: str) -> None:
    value = as_object(written("stability-matrix", None, replace(MODEL, created_at=created_at)))

    assert value["ImportedAt"] == written_as


def test_an_id_that_no_tool_can_hold_is_none() -> None:
    origin = replace(SAID.origins[0], version_id="9" * 5_000)

    assert replace(MODEL, meaning=replace(SAID, origins=(origin,))).civitai is None


def test_what_a_tool_writes_of_a_model_that_it_does_not_know_says_nothing() -> None:
    lora_manager = {"file_name": "wool felt", "model_name": "wool felt", "base_model": "Unknown", "usage_tips": "{}"}
    webui = {"sd version": "Unknown", "preferred weight": 0, "notes": ""}

    filled = as_object(written("lora-manager", lora_manager)), as_object(written("webui", webui))

    assert (filled[0]["model_name"], filled[0]["base_model"]) == (SAID.title, SAID.base_model)
    assert (filled[1]["sd version"], filled[1]["preferred weight"]) == ("SDXL", 0.8)
    renamed = as_object(written("lora-manager", lora_manager | {"model_name": "Felt", "base_model": "Pony"}))
    assert (renamed["model_name"], renamed["base_model"]) == ("Felt", "Pony")


def test_lora_manager_goes_on_asking_civitai_for_models_that_nobody_found_there_yet() -> None:
    bare = KnownModel(SHA256, "/m/a.safetensors")

    assert as_object(written("lora-manager", None, bare))["from_civitai"] is True
    assert as_object(written("lora-manager", {"from_civitai": False}, bare))["from_civitai"] is False


def test_rgthree_is_given_no_answer_for_it_asks_for_none_when_it_holds_one() -> None:
    received = replace(MODEL, answer={"id": 401571, "modelId": 401584, "files": []})

    value = as_object(written("rgthree", {"raw": {"metadata": {"ss_a": "1"}}}, received))

    assert value["raw"] == {"metadata": {"ss_a": "1"}}
    assert value["links"] == [SAID.origins[0].url]


def test_rgthree_s_own_name_of_a_model_has_the_version_once() -> None:
    named = replace(MODEL, meaning=replace(SAID, title="Wool Felt - v1.2"))

    assert as_object(written("rgthree", model=named))["name"] == "Wool Felt - v1.2"
    assert as_object(written("rgthree"))["name"] == "Wool Felt ミオ - v1.2"


def test_rgthree_gets_words_beside_those_that_only_its_training_data_tells() -> None:
    counted = {"word": "cat", "count": 9, "metadata": True}
    users = {"word": "mine", "user": True}

    told = as_object(written("rgthree", {"trainedWords": [counted, {**counted, "word": "felt toy"}]}))
    odd = as_object(written("rgthree", {"trainedWords": [{**counted, "word": ["x"]}]}))
    kept = as_object(written("rgthree", {"trainedWords": [counted, users]}))

    assert told["trainedWords"] == [
        counted,
        {**counted, "word": "felt toy", "user": True},
        {"word": "wool felt", "user": True},
    ]
    assert kept["trainedWords"] == [counted, users]
    assert [word["word"] for word in odd["trainedWords"]] == [["x"], "wool felt", "felt toy"]


def test_two_answers_of_civitai_are_never_mixed() -> None:
    theirs = {"id": 9, "modelId": 8, "name": "other", "trainedWords": []}

    value = as_object(written("lora-manager", {"civitai": theirs}))["civitai"]
    with pytest.raises(NothingToSay, match="another version"):
        written("civitai-helper", theirs)

    assert value == theirs | {"trainedWords": ["wool felt", "felt toy"]}


def test_an_answer_is_written_back_as_it_was_received(tmp_path: Path) -> None:
    received = {"id": 401571, "modelId": 401584, "stats": {"n": 1}, "description": "<p>received</p>", "files": []}
    value = as_object(written("civitai-helper", model=replace(MODEL, answer=received)))

    assert value["stats"] == {"n": 1}
    assert value["description"] == "<p>received</p>"
    assert [file["primary"] for file in value["files"]] == [True]


@pytest.mark.parametrize("kind", ["civitai-helper", "webui", "rgthree", "stability-matrix"])
def test_tools_that_read_in_their_own_encoding_get_ascii(kind: str) -> None:
    assert written(kind, {"description": "ü"} if kind == "webui" else None).isascii()


def test_a1111_gets_text_without_tags_and_a_weight_that_is_a_number() -> None:
    text = Text("<p>Nice.</p><script>alert('x')</script><p>Two &lt; three</p>", TextFormat.HTML)
    model = replace(MODEL, meaning=replace(SAID, description=text, trigger_words=("a, b", "c")))

    value = as_object(written("webui", {"preferred weight": None, "notes": None}, model))

    assert value["description"] == "Nice.\nTwo < three"
    assert value["preferred weight"] == 0.8
    assert value["activation text"] == "a, b || c"
    assert value["sd version"] == "SDXL"


def test_prompts_for_a1111_are_one_line_for_its_cards_are_scripts() -> None:
    model = replace(
        MODEL, meaning=replace(SAID, trigger_words=("felt,\r\n fox", "b"), negative_prompt="photo,\nblurry\n")
    )

    value = as_object(written("webui", model=model))

    assert (value["activation text"], value["negative text"]) == ("felt, fox || b", "photo, blurry")
    assert value["notes"] == SAID.notes


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            Text("&lt;script&gt;alert(1)&lt;/script&gt; use &lt;lora:felt:0.8&gt;", TextFormat.HTML),
            "alert(1) use <lora:felt:0.8>",
        ),
        (Text("a <b>bold</b> word, 3 < 4", TextFormat.PLAIN), "a bold word, 3 < 4"),
        (Text("<<b>img src=x onerror=alert(1)> no", TextFormat.PLAIN), "< img src=x onerror=alert(1)> no"),
        (Text("best <at 0.8 or so", TextFormat.PLAIN), "best < at 0.8 or so"),
        (Text("one\n\n  two <lora:felt:1>", TextFormat.PLAIN), "one\n\n  two <lora:felt:1>"),
    ],
)
def test_text_that_a1111_may_show_as_it_is_holds_no_tags(said: Text, shown: str) -> None:
    model = replace(MODEL, meaning=replace(SAID, description=said))

    assert as_object(written("webui", model=model))["description"].strip() == shown


@pytest.mark.parametrize(
    "existing", [{"modelVersions": [], "description": "x"}, {"_class_name": "UNet"}, {"nodes": []}]
)
def test_files_of_other_programs_under_the_same_name_are_left_alone(existing: dict[str, Any]) -> None:
    with pytest.raises(NothingToSay, match="another program's"):
        written("webui", existing)


def test_what_civitai_browser_keeps_of_a_model_is_completed() -> None:
    assert as_object(written("webui", {"modelId": 5}))["notes"] == SAID.notes


def test_nothing_is_written_of_a_model_of_which_nothing_is_known() -> None:
    bare = KnownModel(SHA256, "/m/a.safetensors")
    for kind in ("webui", "civitai-helper"):
        with pytest.raises(NothingToSay):
            written(kind, model=bare)


STRICT: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("ModelId", "VersionId", "RemoteFileId"), (int, type(None))),
    **dict.fromkeys(("ModelName", "ModelDescription", "VersionName", "ModelType", "ImportedAt"), (str,)),
    **dict.fromkeys(
        ("VersionDescription", "BaseModel", "AuthorUsername", "SourceUrl", "UserTitle"), (str, type(None))
    ),
    "Nsfw": (bool,),
    "Tags": (list,),
    "TrainedWords": (list, type(None)),
    "Hashes": (dict,),
    "Source": (int, type(None)),
}


@pytest.mark.parametrize("existing", [None, {}, {"Hashes": None, "Tags": None, "ModelName": None, "Source": None}])
@pytest.mark.parametrize("model", [MODEL, KnownModel(SHA256, "/m/a.ckpt")])
def test_stability_matrix_gets_the_types_that_its_strict_reader_wants(existing: Any, model: KnownModel) -> None:
    data = written("stability-matrix", existing, model)
    value = as_object(data)

    assert {key for key, types in STRICT.items() if type(value[key]) not in types} == set()
    assert value["Hashes"]["SHA256"] == SHA256.upper()
    assert b"\n" not in data
    assert not {b"<", b">", b"'", b"+"} & {data[at : at + 1] for at in range(len(data))}


def test_only_texts_are_escaped_for_stability_matrix() -> None:
    theirs = {"Stats": {"downloadCount": 1e21}, "UserTitle": 'a "quoted\\" + <b>'}

    data = written("stability-matrix", theirs)

    assert {key: as_object(data)[key] for key in theirs} == theirs
    assert b"1e+21" in data
    assert b"\\u003Cb\\u003E" in data


def test_a_hash_beside_a_model_is_sixty_four_digits_and_nothing_else() -> None:
    assert written("pysssss") == SHA256.encode()
    assert EXPORTERS["pysssss"].paths(MODEL, Order(with_texts=True)) == ("wool felt.sha256", "wool felt.txt")
