"""Names alone tell which file belongs to which models."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.knowledge import ImageRank
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.finding import DOWNLOAD_RECORD, EXAMPLE_PROMPT, find_sidecars

EXTENSIONS = (".safetensors", ".ckpt", ".gguf")
SUFFIXES = (
    "",
    ".metadata.json",
    ".civitai.info",
    ".rgthree-info.json",
    ".json",
    ".txt",
    ".description.txt",
    ".sha256",
    DOWNLOAD_RECORD,
    EXAMPLE_PROMPT,
)


def found_in(*names: str, folder: str = "/m", above: Sequence[str] = ()) -> dict[str, FoundSidecar]:
    found = find_sidecars(folder, names, EXTENSIONS, SUFFIXES, above)
    assert len({sidecar.path for sidecar in found}) == len(found)
    return {sidecar.path.rpartition("/")[2]: sidecar for sidecar in found}


def owner(found: FoundSidecar) -> tuple[str, str, list[str]]:
    return found.suffix, found.stem, [path.removeprefix("/m/") for path in found.models]


def test_the_longest_suffix_whose_stem_is_a_model_decides() -> None:
    found = found_in("x.safetensors", "x.metadata.json", "x.json", "x.description.txt")
    assert owner(found["x.metadata.json"]) == (".metadata.json", "x", ["x.safetensors"])
    assert owner(found["x.json"]) == (".json", "x", ["x.safetensors"])
    assert owner(found["x.description.txt"]) == (".description.txt", "x", ["x.safetensors"])


def test_a_dotted_stem_is_one_of_its_own() -> None:
    found = found_in("a.safetensors", "a.v1.safetensors", "a.v1.json", "a.json")
    assert owner(found["a.v1.json"]) == (".json", "a.v1", ["a.v1.safetensors"])
    assert owner(found["a.json"]) == (".json", "a", ["a.safetensors"])


def test_a_shared_stem_gives_all_its_models_and_a_full_name_one() -> None:
    found = found_in("a.safetensors", "a.ckpt", "a.civitai.info", "a.png", "a.safetensors.rgthree-info.json")
    assert owner(found["a.civitai.info"]) == (".civitai.info", "a", ["a.ckpt", "a.safetensors"])
    assert owner(found["a.png"])[2] == ["a.ckpt", "a.safetensors"]
    assert owner(found["a.safetensors.rgthree-info.json"]) == (".rgthree-info.json", "a", ["a.safetensors"])


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("x.png", ImageRank.OWN),
        ("x.WEBP", ImageRank.OWN),
        ("x.mp4", ImageRank.OWN),
        ("x.preview.png", ImageRank.PREVIEW),
        ("x.thumb.jpg", ImageRank.THUMBNAIL),
        ("x.example.0.jpeg", ImageRank.EXAMPLE),
        ("x_3.jpg", ImageRank.EXAMPLE),
    ],
)
def test_what_an_image_is_stands_in_its_name(name: str, rank: ImageRank) -> None:
    found = found_in("x.safetensors", name)[name]
    assert (found.rank, owner(found)) == (rank, ("", "x", ["x.safetensors"]))


def test_a_model_whose_name_ends_like_a_preview_has_its_own_image() -> None:
    for others in (["x.preview.safetensors"], ["x.preview.safetensors", "x.safetensors"]):
        found = found_in(*others, "x.preview.png")["x.preview.png"]
        assert (found.rank, owner(found)) == (ImageRank.OWN, ("", "x.preview", ["x.preview.safetensors"]))
    assert found_in("a_1.safetensors", "a.safetensors", "a_1.jpg")["a_1.jpg"].stem == "a_1"


def test_an_image_is_found_whatever_the_case_of_its_stem_and_a_text_is_not() -> None:
    found = found_in("Big.safetensors", "big.png", "big.civitai.info")
    assert owner(found["big.png"])[2] == ["Big.safetensors"]
    assert found["big.civitai.info"].models == ()


def test_sidecars_without_a_model_are_found_by_what_only_tools_write() -> None:
    found = found_in("gone.civitai.info", "gone.png", "gone.txt", "notes.txt", "picture.png", "config.json")
    assert {name: owner(sidecar) for name, sidecar in found.items()} == {
        "gone.civitai.info": (".civitai.info", "gone", []),
        "gone.png": ("", "gone", []),
        "gone.txt": (".txt", "gone", []),
    }
    lost = found_in("old.safetensors.rgthree-info.json", "old.preview.png", "old.sha256")
    assert {sidecar.stem for sidecar in lost.values()} == {"old"}
    assert len(lost) == 3


def test_plain_files_count_as_lost_only_among_models() -> None:
    found = found_in(
        "x.safetensors", "old.txt", "old.json", "README.txt", "put_loras_here.txt", "Put VAE here.txt", "p.png"
    )
    assert {name: owner(sidecar) for name, sidecar in found.items()} == {
        "old.txt": (".txt", "old", []),
        "old.json": (".json", "old", []),
    }


def test_what_is_unfinished_or_of_another_kind_is_left_out() -> None:
    names = ("x.metadata.json.tmp", ".x.json", "x.yaml", "x.recipe.json", "x.safetensors.index.json", "x.bak")
    assert found_in("x.safetensors", *names) == {}


def test_texts_in_a_folder_named_after_a_model_are_its_example_prompts() -> None:
    found = found_in("one.txt", "two.json", folder="/m/x", above=["x.safetensors", "y.safetensors"])
    assert owner(found["one.txt"]) == (EXAMPLE_PROMPT, "x", ["x.safetensors"])
    assert list(found) == ["one.txt"]
    assert found_in("one.txt", folder="/m/z", above=["x.safetensors"]) == {}


@pytest.mark.parametrize("hidden", [".cache/huggingface", ".huggingface"])
def test_the_note_of_a_download_names_its_model_by_where_it_lies(hidden: str) -> None:
    names = ("a.safetensors.metadata", "config.json.metadata", "a.safetensors.lock")
    found = found_in(*names, folder=f"/m/hf/{hidden}/download/unet")
    assert {name: owner(sidecar) for name, sidecar in found.items()} == {
        "a.safetensors.metadata": (DOWNLOAD_RECORD, "a", ["hf/unet/a.safetensors"])
    }
    assert found_in("a.safetensors.metadata", "a.safetensors") == {}


@given(st.sets(st.text(alphabet="ax._1", min_size=1, max_size=6), max_size=4), st.data())
def test_every_file_is_found_at_most_once_and_with_models_of_its_folder(stems: set[str], data: st.DataObject) -> None:
    endings = st.sampled_from([*EXTENSIONS, ".json", ".metadata.json", ".png", ".preview.png", ".thumb.jpg", ".txt"])
    names = {stem + ending for stem in stems for ending in data.draw(st.sets(endings))}
    for name, sidecar in found_in(*names).items():
        assert name in names
        assert {path.removeprefix("/m/") for path in sidecar.models} <= {n for n in names if n.endswith(EXTENSIONS)}
        assert name.startswith(sidecar.stem)
