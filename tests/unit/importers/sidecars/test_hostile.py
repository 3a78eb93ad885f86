"""No bytes make a reader raise anything, or give what the catalogue cannot hold."""

import json
import random
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.sidecar_library import SIDECAR_SAMPLE

from modelkeep.domain.knowledge import HashClaim, SourceRecord, meaning_as_json, meaning_from_json
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.versions import versions_as_json, versions_from_json
from modelkeep.importers.hash_claims import LENGTHS
from modelkeep.importers.loose_json import DEPTH_MAX, ITEMS_MAX
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.formats import FORMATS, read_sidecar
from modelkeep.importers.sidecars.reading import BYTES_MAX
from modelkeep.importers.sidecars.walking import sidecars_below

SUFFIXES = sorted({suffix for known in FORMATS for suffix in known.suffixes})
BY_SUFFIX = {suffix: known for known in FORMATS for suffix in known.suffixes}
WORDS_OF_FORMATS = """
id modelId name model files hashes SHA256 AutoV3 BLAKE3 sizeKB trainedWords images meta prompt tags creator username
extensions sd_civitai_helper skeleton_file baseModel description updatedAt allowCommercialUse modelVersions author
file_name model_name file_path size modified sha256 base_model preview_url civitai usage_tips autov3 customImages
notes ModelId Hashes Source InferenceDefaults Sampler Name Steps UserTitle modelspec.tags modelspec.hash raw userNote
word modelspec.lora_default_weight strengthMin links strengthMax vae_te unpackList
"""
KEYS = re.findall(r"\S+", WORDS_OF_FORMATS)

ODD: list[Any] = [
    10**400,
    -1,
    2**63,
    0.5,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    {},
    "",
    "\ud83d",
    "a\0b",
    "\udce9 || ,,",
]
ODD += ["E3B0C442", "0x" + "ab" * 32, '{"strength": NaN}', "2024-06-03", "1e999", "https://civitai.com/models/[?a=x"]


def value(seed: random.Random, depth: int = 3) -> Any:
    """Return a value with keys of the formats and odd values at their places."""
    shape = seed.random()
    if depth and shape < 0.25:
        return [value(seed, depth - 1) for _ in range(seed.randrange(3))]
    if depth and shape < 0.6:
        return {seed.choice(KEYS): value(seed, depth - 1) for _ in range(seed.randrange(8))}
    return seed.choice(ODD)


def an_object(number: int) -> bytes:
    seed = random.Random(number)
    return json.dumps({key: value(seed) for key in seed.sample(KEYS, 14)}).encode()


objects = st.integers(0, 2**32).map(an_object)
SAMPLES = [
    path.read_bytes()[:4000]
    for path in sorted((SIDECAR_SAMPLE / "models").rglob("*"))
    if path.is_file() and path.name.endswith(tuple(suffix for suffix in SUFFIXES if suffix[:1] == "."))
]
cut = st.tuples(st.sampled_from(SAMPLES), st.integers(0, 4000), st.binary(max_size=8)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
)


stems = st.sampled_from(["x", "\udce9"])


def hold(said: SourceRecord | Refusal | None, found: FoundSidecar) -> None:
    """Assert that the catalogue can hold what was read, and that every value has the type that it is said to have."""
    if isinstance(said, Refusal):
        assert said.reason
        assert said.path == found.path
    elif said is not None:
        meaning = meaning_as_json(said.meaning)
        versions = versions_as_json(said.versions)
        held = json.loads(json.dumps([meaning, said.raw, said.remarks, versions], allow_nan=False).encode())
        json.dumps(held, ensure_ascii=False).encode()
        assert "\\u0000" not in json.dumps(meaning).replace("\\\\", "")  # SQLite ends a text there
        assert meaning_from_json(held[0]) == said.meaning
        assert versions_from_json(held[3]) == said.versions
        assert all(len(claim.value) == LENGTHS[claim.kind] for claim in said.claims)
        assert len(set(said.claims)) == len(said.claims)
        assert all(isinstance(claim, HashClaim) for claim in said.claims)
        texts = [getattr(said.meaning, known.name) for known in fields(said.meaning) if known.type is str]
        assert all(isinstance(text, str) for text in texts)
        assert 0 <= said.updated_at < 2**63
        assert 0 <= said.size_bytes < 2**63


@settings(max_examples=400)
@given(
    st.sampled_from(SUFFIXES),
    st.one_of(objects, cut, st.binary(max_size=200)),
    st.booleans(),
    st.sampled_from(["x", "\udce9"]),
)
@example(".metadata", b"0" * 40 + b"\ne\n1", False, "\udce9")
def test_whatever_the_bytes_a_reader_answers(suffix: str, data: bytes, has_model: bool, stem: str) -> None:
    models = (f"/m/{stem}.safetensors", f"/m/{stem}.ckpt") if has_model else ()
    found = FoundSidecar(f"/m/{stem}{suffix or '.png'}", suffix, stem, models)
    hold(BY_SUFFIX[suffix].read(found, data), found)


DEEP = DEPTH_MAX + 1
HOSTILE = {
    "nested deeper than anybody reads": b"[" * 100_000,
    "an object nested too deep": b'{"description":' * DEEP + b"1" + b"}" * DEEP,
    "more items than memory": b'{"notes":[' + b"[]," * ITEMS_MAX + b"[]]}",
    "a number of many digits": b'{"sha256": ' + b"9" * 10_000 + b"}",
    "only zeros": b"\0" * 1000,
    "nothing": b"",
}


@pytest.mark.parametrize("what", sorted(HOSTILE))
@pytest.mark.parametrize("suffix", [".metadata.json", ".civitai.info", ".cm-info.json", ".swarm.json", ".json"])
def test_what_would_take_a_reader_down_is_refused(suffix: str, what: str) -> None:
    found = FoundSidecar(f"/m/x{suffix}", suffix, "x", ("/m/x.safetensors",))
    assert isinstance(BY_SUFFIX[suffix].read(found, HOSTILE[what]), Refusal)


HUGE_KEY = f"? 0x{'f' * 5000}\n: author"


def test_a_number_of_yaml_that_nobody_could_write_down_again_is_none() -> None:
    found = FoundSidecar("/m/x.md", ".md", "x", ("/m/x.ckpt",))
    said = BY_SUFFIX[".md"].read(found, f"---\nauthor: me\nseed: 0x{'f' * 5000}\nid: {2**70}\n---\ntext".encode())
    assert isinstance(said, SourceRecord)
    assert said.raw["front_matter"] == {"author": "me", "seed": None, "id": 2**70}


def test_a_reader_that_fails_as_nobody_foresaw_costs_no_other_file_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, found: FoundSidecar, data: bytes) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(type(BY_SUFFIX[".txt"]), "read", fail)
    note = tmp_path / "x.txt"
    note.write_text("a note")
    said = read_sidecar(FoundSidecar(str(note), ".txt", "x", (str(tmp_path / "x.ckpt"),)))
    assert isinstance(said, Refusal)
    assert "no such luck" in said.reason


def test_yaml_that_makes_much_out_of_little_is_refused() -> None:
    found = FoundSidecar("/m/x.md", ".md", "x", ("/m/x.ckpt",))
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    for front in (
        "\n".join(lines),
        "a: " + "[" * 5000,
        "a: " + "x" * 300_000,
        "a: !!python/name:os.system ''",
        "{",
        HUGE_KEY,
    ):
        assert isinstance(BY_SUFFIX[".md"].read(found, f"---\n{front}\n---\ntext".encode()), Refusal)


def test_keys_that_stand_twice_count_as_they_stand_last() -> None:
    found = FoundSidecar("/m/x.json", ".json", "x", ("/m/x.ckpt",))
    said = BY_SUFFIX[".json"].read(found, b'{"notes": "first", "vae": "a", "notes": "last"}')
    assert isinstance(said, SourceRecord)
    assert said.meaning.notes == "last"
    assert said.remarks == ("keys that it bears more than once count as they stand last: notes",)


def test_a_file_that_is_too_large_or_none_is_refused(tmp_path: Path) -> None:
    large, folder = tmp_path / "x.civitai.info", tmp_path / "y.civitai.info"
    with large.open("wb") as file:
        file.truncate(BYTES_MAX + 1)
    folder.mkdir()
    for path, reason in (
        (large, "larger than 32 MB"),
        (folder, "not a regular file"),
        (tmp_path / "z.json", "No such"),
    ):
        said = read_sidecar(FoundSidecar(str(path), "".join(path.suffixes), "x"))
        assert isinstance(said, Refusal)
        assert reason in said.reason


@pytest.mark.parametrize("name", ["x.txt", "x.json", "x.preview.png", "x.mp4"])
def test_a_link_to_a_file_elsewhere_is_not_followed(tmp_path: Path, name: str) -> None:
    secret, library = tmp_path / "home" / name, tmp_path / "models"
    for folder in (secret.parent, library):
        folder.mkdir()
    secret.write_text('{"notes": "secret"}')
    (library / "x.ckpt").write_bytes(b"model")
    (library / name).symlink_to(secret)
    found = {one.path: one for one in sidecars_below(str(library), (".ckpt",)).found}[str(library / name)]
    said = read_sidecar(found)
    assert isinstance(said, Refusal)
    assert said.reason == "it cannot be read: it is a link to a file elsewhere, which is not followed"


def test_a_link_is_followed_in_its_folder_and_to_beside_the_model_itself(tmp_path: Path) -> None:
    store, library = tmp_path / "store", tmp_path / "models"
    for folder in (store, library):
        folder.mkdir()
    (store / "x.ckpt").write_bytes(b"model")
    (store / "x.txt").write_text("stored")
    (library / "note").write_text("here")
    for name, target in {"x.ckpt": store / "x.ckpt", "x.txt": store / "x.txt", "y.txt": library / "note"}.items():
        (library / name).symlink_to(target)
    (library / "y.ckpt").write_bytes(b"another")
    said = [read_sidecar(found) for found in sidecars_below(str(library), (".ckpt",)).found]
    assert [one.meaning.notes for one in said if isinstance(one, SourceRecord)] == ["stored", "here"]
