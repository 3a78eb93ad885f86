"""What statx(2) tells is what stat(2) tells, and when the file was made."""

import os
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8

from modelkeep.disk import statx
from modelkeep.disk.statx import see


@pytest.mark.parametrize("name", ["a.pt", NOT_UTF8])
def test_it_is_what_stat_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x" * 77)
    os.utime(path, ns=(5, -1_700_000_000_123_456_789))
    seen, status = see(str(path)), path.stat()
    known = seen.fingerprint
    assert seen.is_file
    assert (known.device, known.inode, known.size_bytes) == (status.st_dev, status.st_ino, 77)
    assert (known.mtime_ns, known.ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)
    with path.open("rb") as file:
        assert see(file.fileno()) == seen


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert not see(str(tmp_path)).is_file
    assert not see("/dev/null").is_file


def test_a_link_leads_to_its_file(tmp_path: Path) -> None:
    path, link = tmp_path / "a.pt", tmp_path / "b.pt"
    path.touch()
    link.symlink_to(path)
    assert see(str(link)) == see(str(path))


def test_what_is_not_there_is_an_error_as_of_stat(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        see(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="null"):
        see("a\0b")


def test_a_rename_leaves_the_time_at_which_a_file_was_made(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.touch()
    before = see(str(path)).fingerprint
    if before.birth_ns is None:
        pytest.skip("this file system does not tell when files are made")
    assert see(str(path.rename(tmp_path / "b.pt"))).fingerprint.is_surely_born_with(before)


def test_without_it_stat_tells_all_but_the_birth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    path.touch()
    by_statx = see(str(path)).fingerprint
    monkeypatch.setattr(statx, "_statx", None)
    by_stat = see(str(path)).fingerprint
    assert by_stat.birth_ns is None
    assert by_stat.is_untouched_since(by_statx)
