"""Folders that outlast a power cut; that they do is shown in `tests/crash`."""

import os
from pathlib import Path

import pytest

from modelkeep.disk.durable import make_folder, sync_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were brought to the disk, in that order."""
    paths: list[Path] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def test_folders_are_made_with_those_above_them_and_the_name_of_each_is_synced(
    tmp_path: Path, synced: list[Path]
) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]


def test_the_name_of_a_folder_that_is_there_is_synced_too(tmp_path: Path, synced: list[Path]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path / "a"]


def test_a_file_in_the_place_of_a_folder_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "a" / "b")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    make_folder(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "b")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
