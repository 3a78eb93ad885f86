"""References find the images of one folder, and nothing else."""

import os
from pathlib import Path

import pytest

from modelkeep.errors import SourceError
from modelkeep.importers.image_folder import ImageFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b c.png", "50%.png", "水.png", "q?x.png"):
        (images / name).touch()
    return images


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/media/a.png", "a.png"),
        ("a.png", "a.png"),
        ("C:\\plugin\\images\\a.png", "a.png"),
        ("/media/a.png?rev=3", "a.png"),
        ("/media/b%20c.png", "b c.png"),
        ("/media/50%.png", "50%.png"),
        ("/media/%E6%B0%B4.png", "水.png"),
        ("/media/q?x.png", "q?x.png"),
        ("/media/q%3Fx.png", "q?x.png"),
        ("/media/A.PNG", ""),
        ("/media/", ""),
        ("", ""),
        (".", ""),
    ],
)
def test_a_reference_is_looked_up_as_it_is_and_unquoted(folder: Path, reference: str, name: str) -> None:
    assert ImageFolder.listed(folder, must_exist=True).find(reference) == name


def test_only_regular_files_count(folder: Path) -> None:
    (folder / "sub.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    images = ImageFolder.listed(folder, must_exist=True)
    assert [images.find(name) for name in ("sub.png", "pipe.png")] == ["", ""]


def test_a_link_counts_only_when_it_stays_in_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").touch()
    (folder / "outside.png").symlink_to(tmp_path / "secret.png")
    (folder / "inside.png").symlink_to("a.png")
    (folder / "broken.png").symlink_to("nothing.png")
    images = ImageFolder.listed(folder, must_exist=True)
    found = [images.find(name) for name in ("outside.png", "inside.png", "broken.png")]
    assert found == ["", "inside.png", ""]


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "inside.png").symlink_to("a.png")
    (tmp_path / "link").symlink_to(folder)
    assert ImageFolder.listed(tmp_path / "link", must_exist=True).find("/media/inside.png") == "inside.png"


def test_a_name_that_is_no_utf_8_is_found(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (folder / name).touch()
    images = ImageFolder.listed(folder, must_exist=True)
    assert images.find(f"/media/{name}") == name
    assert images.find("/media/caf%E9.png") == name


def test_a_missing_folder_is_empty_unless_it_was_asked_for(tmp_path: Path) -> None:
    assert ImageFolder.listed(tmp_path / "gone", must_exist=False).find("a.png") == ""
    with pytest.raises(SourceError, match="gone does not exist"):
        ImageFolder.listed(tmp_path / "gone", must_exist=True)
