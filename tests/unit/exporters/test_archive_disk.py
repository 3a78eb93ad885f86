"""What is told when the disk does not take an archive."""

import tempfile
from pathlib import Path

import pytest

from modelkeep.errors import StorageError
from modelkeep.exporters.archive import NewArchive


def test_a_disk_that_is_full_is_told_with_the_file_that_it_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full").open("r+b")  # noqa: SIM115 - closed by the archive
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
    path = tmp_path / "all.zip"
    with pytest.raises(StorageError, match=r"all\.zip cannot be written: No space left"), NewArchive(path) as archive:
        archive.keep({"models": [{"name": "x" * 100}] * 1000})
