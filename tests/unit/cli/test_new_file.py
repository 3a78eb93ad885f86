import errno
import os
from pathlib import Path

import pytest

from modelkeep.cli.exits import Refused
from modelkeep.cli.new_file import write_new_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def test_a_new_file_comes_with_its_folders_and_leaves_no_other(folder: Path) -> None:
    path = folder / "a" / "b" / "new.toml"

    write_new_file(path, "content é\n")

    assert path.read_text("utf-8") == "content é\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_never_overwritten(folder: Path) -> None:
    path = folder / "new.toml"
    path.write_text("mine")

    with pytest.raises(Refused, match=f"{path} exists"):
        write_new_file(path, "other")

    assert path.read_text() == "mine"
    assert list(folder.iterdir()) == [path]


def test_a_link_that_leads_nowhere_is_not_followed(folder: Path) -> None:
    path = folder / "new.toml"
    path.symlink_to(folder / "elsewhere")

    with pytest.raises(Refused):
        write_new_file(path, "other")

    assert not (folder / "elsewhere").exists()


def test_a_file_system_without_hard_links_is_served_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    path = folder / "new.toml"

    write_new_file(path, "content")
    with pytest.raises(Refused):
        write_new_file(path, "other")

    assert path.read_text() == "content"
    assert list(folder.iterdir()) == [path]
