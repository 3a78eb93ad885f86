"""The library lists what Python lists, whatever a folder holds, and leaves to Python what it does not decide."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import NOT_UTF8, without_rights

from modelkeep.disk import folder_listing
from modelkeep.disk.folder_listing import LIBRARY
from modelkeep.disk.walk import Listing, walk
from modelkeep.pipeline import sha256

TOP = Path(__file__).parents[3]
EXTENSIONS = (".safetensors", ".pt", ".ckpt", ".bin")

STEMS = ["a", "Modell", ".hidden", NOT_UTF8[:4], "模型 1", "KELVIN", "x" * 240, ""]
ENDINGS = [
    ".pt",
    ".PT",
    ".cKpt",
    ".c\u212apt",
    ".b\u0130n",
    ".pt.part",
    ".Pt.AriA2",
    ".png",
    ".safetensors",
    "",
    ".pt2",
]
KINDS = [
    "file",
    "file",
    "file",
    "empty",
    "folder",
    "folder with a file",
    "link",
    "link to folder",
    "lost link",
    "pipe",
]

contents = st.dictionaries(
    st.builds(str.__add__, st.sampled_from(STEMS), st.sampled_from(ENDINGS)).filter(bool),
    st.sampled_from(KINDS),
    max_size=12,
)


@pytest.fixture(scope="module")
def library(hatch_build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    (source,) = (name for name in hatch_build.LIBRARIES if name.endswith("folder_listing.c"))
    built = tmp_path_factory.mktemp("library") / "folder_listing.so"
    assert hatch_build.build(TOP / source, built, "-Werror") == ""
    return built


@pytest.fixture(autouse=True)
def own_library() -> Iterator[None]:
    yield
    folder_listing.LIBRARY = LIBRARY
    folder_listing._library.cache_clear()


def walked(folder: Path, library: Path | None, extensions: tuple[str, ...] = EXTENSIONS) -> Listing:
    folder_listing.LIBRARY = library or folder / "no library"
    return walk(str(folder), extensions)


def make(folder: Path, name: str, kind: str) -> None:
    path, elsewhere = folder / name, folder.parent / "elsewhere"
    match kind:
        case "file":
            path.write_bytes(b"x")
        case "empty":
            path.touch()
        case "folder" | "folder with a file":
            path.mkdir()
            if kind == "folder with a file":
                (path / "a.pt").write_bytes(b"y")
        case "link":
            path.symlink_to(elsewhere / "a.pt")
        case "link to folder":
            path.symlink_to(elsewhere)
        case "lost link":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)


def assert_same(one: Listing, other: Listing) -> None:
    assert one.entries() == other.entries()
    assert len(one) == len(other)
    assert one.folders == other.folders
    assert (one.unreadable, one.not_followed) == (other.unreadable, other.not_followed)


def test_a_library_that_was_built_for_other_code_is_not_called() -> None:
    folder_listing.LIBRARY = Path(sha256.LIBRARY)
    if not folder_listing.LIBRARY.exists():
        pytest.skip("no library was built")
    assert folder_listing.packed_folders(EXTENSIONS) is None


@given(contents=contents)
def test_the_library_lists_what_python_lists(library: Path, contents: Mapping[str, str]) -> None:
    with TemporaryDirectory() as made:
        folder, elsewhere = Path(made, "models"), Path(made, "elsewhere")
        for each in (folder, elsewhere):
            each.mkdir()
        make(elsewhere, "a.pt", "file")
        for name, kind in contents.items():
            make(folder, name, kind)
        ours = walked(folder, library)
        assert_same(ours, walked(folder, None))
        assert ours.digest() == walked(folder, library).digest()


def test_all_of_a_large_folder_is_listed_in_several_calls(library: Path, tmp_path: Path) -> None:
    for number in range(600):
        make(tmp_path, f"{number}.{'x' * 200}.pt", "file")
        make(tmp_path, f"{number}.{'x' * 200}.folder", "folder")
        make(tmp_path, f"{number}.png", "empty")
    listing = walked(tmp_path, library)
    assert_same(listing, walked(tmp_path, None))
    assert (len(listing), len(listing.single)) == (600, 0), "all by the library"


def test_whatever_changes_of_a_file_changes_the_digest(library: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    make(tmp_path, "a.pt", "file")
    make(tmp_path, "b.pt", "file")
    digests = [walked(tmp_path, library).digest()]
    for change in (
        lambda: path.write_bytes(b"xy"),
        lambda: os.utime(path, ns=(1, 1)),
        lambda: path.chmod(0o600),
        lambda: path.rename(tmp_path / "c.pt"),
        lambda: make(tmp_path, "link.pt", "lost link"),
        lambda: (tmp_path / "b.pt").unlink(),
    ):
        change()
        digests.append(walked(tmp_path, library).digest())
    assert len(set(digests)) == len(digests)


def test_links_and_letters_that_it_does_not_know_are_left_to_python(library: Path, tmp_path: Path) -> None:
    for name in ("by the library", "with a link", "with a letter"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, "a.pt", "file")
    make(tmp_path / "with a link", "b.pt", "lost link")
    make(tmp_path / "with a letter", "b.c\u212apt", "file")
    listing = walked(tmp_path, library)
    assert [Path(packed.folder).name for packed in listing.packed] == ["by the library"]
    assert len(listing.single) == 3
    assert len(walked(tmp_path, library, (*EXTENSIONS, ".模")).packed) == 0


def test_the_letter_that_is_left_to_python_is_the_only_one() -> None:
    odd = [chr(code) for code in range(128, sys.maxunicode + 1) if chr(code).lower().isascii()]
    assert odd == ["\u212a"]


def test_what_cannot_be_read_is_told_alike(library: Path, open_folder: Path) -> None:
    for name, mode in (("shut", 0o700), ("listed only", 0o744), ("open", 0o755)):
        (open_folder / name).mkdir()
        make(open_folder / name, "a.pt", "file")
        (open_folder / name).chmod(mode)
    expected = walked(open_folder, None).folders
    walked(open_folder, library)  # that nobody may load it is another matter
    with without_rights():
        listing = walked(open_folder, library)
    with without_rights():
        assert_same(walked(open_folder, None), listing)
    assert len(listing.packed) == 1
    assert len(expected) == 4


def test_a_socket_is_no_file(library: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened, chdir(tmp_path):
        opened.bind("a.pt")
        assert len(walked(tmp_path, library)) == 0
