"""Second names for published images, on file systems of all kinds."""

import errno
import os
from pathlib import Path

import pytest

from modelkeep.images.links import link_or_copy


def test_a_second_name_takes_no_room(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"image")
    link_or_copy(source, target)
    assert target.samefile(source)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_there_are_no_links_a_durable_copy_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    synced: list[int] = []
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fsync", synced.append)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"image")
    link_or_copy(source, target)
    assert target.read_bytes() == b"image"
    assert not target.samefile(source)
    assert len(synced) == 1


def test_a_file_that_is_not_there_and_a_full_disk_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "a", tmp_path / "b")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        link_or_copy(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()
