"""What texts, notes of downloads and images beside models mean, beyond what the sample library holds."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from tests.sidecar_reading import BY_SUFFIX, MODEL, graded, read, record

from modelkeep.domain.combining import combine
from modelkeep.domain.encodings import is_fallback_encoding
from modelkeep.domain.knowledge import Grade, HashKind, ImageRank, Origin, SourceRecord, Standing, Text, TextFormat
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import MODEL_EXTENSIONS
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.finding import EXAMPLE_PROMPT
from modelkeep.importers.sidecars.formats import read_sidecar
from modelkeep.importers.sidecars.image_prompts import prompt_in
from modelkeep.importers.sidecars.walking import sidecars_below

SHA = "5877f99bbca74b8db2c00396bdfa53511eec3299b5f7ae07b2a391dd5384af9a"
SNOW = "use 0.6 \N{SNOWMAN}"


def test_a_text_is_a_note_and_a_description_only_where_there_is_no_other() -> None:
    note = record(".txt", SNOW.encode())
    assert (note.meaning.notes, note.standing) == (SNOW, Standing.GUESS)
    assert combine([note]).description == Text(SNOW)
    answer = record(".civitai.info", {"id": 1, "model": {"description": "<p>theirs</p>"}})
    for order in ([note, answer], [answer, note]):
        assert combine(order).description.value == "<p>theirs</p>"
        assert combine(order).notes == SNOW


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xef\xbb\xbfnote", "note"),
        ("nöte".encode("utf-16"), "nöte"),
        (b"n\xf6te \xe3\x83\x9f", "nöte ミ"),
        (b"\x93quoted\x94", "“quoted”"),
        (b"\x81", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_texts_are_read_in_whatever_encoding(data: bytes, value: str) -> None:
    assert record(".txt", data).meaning.notes == value


@pytest.mark.parametrize(
    ("encoding", "data", "value"),
    [
        ("gbk", "水墨画和风格".encode("gbk"), "水墨画和风格"),
        ("cp932", "水彩の夜 ﾃｽﾄ".encode("cp932"), "水彩の夜 ﾃｽﾄ"),
        ("cp1251", "Зимний".encode("cp1251"), "Зимний"),
        ("gbk", "水墨画 é".encode(), "水墨画 é"),
        ("gbk", "水墨画和风格".encode() + b" \xff", "水墨画和风格 \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_texts_are_read_in_the_encoding_that_the_owner_names(
    tmp_path: Path, encoding: str, data: bytes, value: str
) -> None:
    for suffix, content in ((".txt", data), (".json", b'{"notes": "%b"}' % data)):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content)
        said = read_sidecar(FoundSidecar(str(path), suffix, "x", (str(tmp_path / "x.ckpt"),)), encoding)
        assert isinstance(said, SourceRecord)
        assert said.meaning.notes == value
        assert said.remarks == (() if data == value.encode() else said.remarks)
        assert all(encoding in remark or "no known encoding" in remark for remark in said.remarks)


@pytest.mark.parametrize("name", ["utf-16", "rot13", "hex", "utf-7", "idna", "cp037", "", "no such", "a\0b"])
def test_an_encoding_in_which_ascii_says_something_else_is_none_to_fall_back_on(name: str) -> None:
    assert not is_fallback_encoding(name)


@pytest.mark.parametrize("name", ["cp1252", "latin-1", "gbk", "gb18030", "cp932", "euc-kr", "big5", "utf-8"])
def test_encodings_to_fall_back_on(name: str) -> None:
    assert is_fallback_encoding(name)


def test_texts_that_say_nothing_or_are_none_are_left_out() -> None:
    assert read(".txt", b" \n", MODEL) is None
    assert isinstance(read(".txt", b"a\0b", MODEL), Refusal)
    assert isinstance(read(".txt", b"a" * (2**20 + 1), MODEL), Refusal)
    assert read(".txt", b"a\0b") is None
    assert read(".html", b"<p>page</p>") is None


def test_texts_of_the_web_uis() -> None:
    page, own = record(".html", b"<p>page</p>"), record(".description.txt", b"mine")
    assert (page.kind, page.meaning.description) == ("webui", Text("<p>page</p>", TextFormat.HTML))
    assert combine([page, own]).description == Text("mine")
    assert own.owned == {"description"}


def test_example_prompts() -> None:
    found = FoundSidecar("/m/x/night.txt", EXAMPLE_PROMPT, "x", (MODEL,))
    said = BY_SUFFIX[EXAMPLE_PROMPT].read(found, b"a lantern")
    assert isinstance(said, SourceRecord)
    assert said.meaning.examples == ({"prompt": "a lantern", "name": "night"},)
    assert said.meaning.notes == ""


@pytest.mark.parametrize(
    "line",
    [SHA, f"{SHA.upper()}\r\n", f"{SHA}  x.safetensors\n", f"{'a' * 64} *y.ckpt\n{SHA} *./x.safetensors\n"],
)
def test_a_hash_file_is_a_bare_hash_or_what_sha256sum_writes(line: str) -> None:
    said = record(".sha256", line.encode())
    assert [claim.value for claim in said.claims] == [SHA]
    assert graded(said) == [(HashKind.SHA256, Grade.B)]


@pytest.mark.parametrize("content", ["", "IsADirectory", "0" * 64, "a" * 63, "g" * 64, "Unknown"])
def test_what_is_no_hash_is_refused(content: str) -> None:
    assert isinstance(read(".sha256", content.encode(), MODEL), Refusal)


def test_an_edited_body_is_a_description_whole() -> None:
    front = b"---\r\nauthor: a\r\nmodelPage: https://huggingface.co/a/b\r\nwebsite: HuggingFace\r\n---\r\n"
    said = record(".md", front + b"my *own*")
    assert said.meaning.description == Text("my *own*", TextFormat.MARKDOWN)
    assert said.meaning.origins == (Origin("huggingface", url="https://huggingface.co/a/b"),)
    assert said.meaning.trigger_words == ()


def test_markdown_of_a_person_is_the_owner_s_description() -> None:
    said = record(".md", b"just *mine*\n---\nnot front matter")
    assert said.meaning.description.value == "just *mine*\n---\nnot front matter"
    assert said.owned == {"description"}


def test_the_parts_that_model_manager_wrote_are_told_apart() -> None:
    front = b"---\nbaseModel: Pony\nhashes: null\n---\n\n"
    body = b"# Trigger Words\n\n%b\n\n# About this version\n\nv\n\n# The Name\n\nText\n"
    said = record(".md", front + body % b"a, b c")
    assert (said.meaning.title, said.meaning.trigger_words) == ("The Name", ("a", "b c"))
    assert record(".md", front + body % b"No trigger words").meaning.trigger_words == ()
    assert record(".md", (front + body).replace(b"The Name", b"None")).meaning.title == ""


def test_without_a_model_markdown_has_to_be_of_model_manager() -> None:
    assert read(".md", b"---\nlicense: mit\ntags: [a]\n---\ncard") is None
    assert read(".md", b"# Readme") is None
    lost = read(".md", b"---\nauthor: a\nhashes: null\ndate: 2024-01-01\n---\nx")
    assert isinstance(lost, SourceRecord)
    assert lost.raw["front_matter"]["date"] == "2024-01-01"


@pytest.mark.parametrize(
    "content", ["", "a b c", f"{'a' * 40}\n{SHA}", f"{'A' * 40}\n{SHA}\n1.5", f"{'a' * 40}\n{SHA}\n1.5\nmore"]
)
def test_a_note_of_a_download_is_three_lines(content: str) -> None:
    assert isinstance(read(".metadata", content.encode(), MODEL), Refusal)


def test_a_small_file_s_etag_claims_nothing() -> None:
    said = record(".metadata", f"{'a' * 40}\n{'b' * 40}\n1795273570.95\n".encode())
    assert said.claims == ()
    assert said.updated_at == 1795273570950


def image(ending: str, **saved: Any) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, ending, **saved)
    return content.getvalue()


def exif(comment: bytes) -> bytes:
    made = Image.Exif()
    made.get_ifd(0x8769)[0x9286] = comment
    return made.tobytes()


PARAMETERS = "a lantern, <lora:x:0.7>\nat night\nNegative prompt: photo\nSteps: 20, Sampler: Euler a, Seed: 5"
PROMPT = {
    "prompt": "a lantern, <lora:x:0.7>\nat night",
    "negative_prompt": "photo",
    "settings": "Steps: 20, Sampler: Euler a, Seed: 5",
}


def test_the_prompt_in_an_image_is_found() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", PARAMETERS)
    assert prompt_in(image("PNG", pnginfo=text)) == PROMPT
    for coding, name in ((b"UNICODE\0", "utf-16-be"), (b"UNICODE\0", "utf-16-le"), (b"ASCII\0\0\0", "ascii")):
        assert prompt_in(image("JPEG", exif=exif(coding + PARAMETERS.encode(name)))) == PROMPT
        assert prompt_in(image("WEBP", exif=exif(coding + PARAMETERS.encode(name)))) == PROMPT


@pytest.mark.parametrize("data", [b"", b"no image", image("PNG"), image("PNG")[:40], image("JPEG", exif=b"Exif")])
def test_an_image_without_a_prompt_says_nothing(data: bytes) -> None:
    assert prompt_in(data) == {}


def test_an_image_is_not_decoded_for_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda _: pytest.fail("it is decoded"))
    assert prompt_in(image("PNG")) == {}


def test_an_image_is_a_record_of_its_own() -> None:
    found = FoundSidecar("/m/x.preview.png", "", "x", (MODEL,), ImageRank.PREVIEW)
    said = BY_SUFFIX[""].read(found, b"whatever")
    assert isinstance(said, SourceRecord)
    assert [(shown.path, shown.rank) for shown in said.images] == [("/m/x.preview.png", ImageRank.PREVIEW)]


def test_the_note_that_huggingface_hub_writes_is_read_as_it_reads_it(tmp_path: Path) -> None:
    local_folder = pytest.importorskip("huggingface_hub._local_folder")
    model = tmp_path / "unet" / "x.safetensors"
    model.parent.mkdir()
    model.write_bytes(b"model")
    local_folder.write_download_metadata(tmp_path, "unet/x.safetensors", commit_hash="a" * 40, etag=SHA)
    below = sidecars_below(str(tmp_path), MODEL_EXTENSIONS)
    said = read_sidecar(below.found[0])
    assert isinstance(said, SourceRecord)
    assert said.models == (str(model),)
    read_back = local_folder.read_download_metadata(tmp_path, "unet/x.safetensors")
    assert said.raw["commit"] == read_back.commit_hash
    assert [claim.value for claim in said.claims] == [read_back.etag]
    assert said.updated_at == int(read_back.timestamp * 1000)
