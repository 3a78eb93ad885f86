"""Files and folders that outlast a power cut; that they do is shown in `tests/crash`."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import limited

from modelkeep.disk.durable import free_path, make_folder, sync_folder, write_durably


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


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    with limited(resource.RLIMIT_FSIZE, 1000), pytest.raises(OSError, match="File too large") as caught:
        write_durably(tmp_path / "a.bin", [bytes(800), bytes(800)])
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "a.bin"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_source_fails(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("the rest cannot be read")

    with pytest.raises(ValueError, match="the rest"):
        write_durably(tmp_path / "a.bin", chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_must_be_new_replaces_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_durably(tmp_path / "a.bin", [b"other"], is_new=True)
    write_durably(tmp_path / "b.bin", [b"an", b"other"], is_new=True)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert (tmp_path / "b.bin").read_bytes() == b"another"


def test_a_free_name_is_that_of_nothing_not_even_of_a_link_to_nowhere(tmp_path: Path) -> None:
    assert free_path(tmp_path, "a.png") == tmp_path / "a.png"
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.png.1").touch()
    assert free_path(tmp_path, "a.png") == tmp_path / "a.png.2"
