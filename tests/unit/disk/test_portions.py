"""A listing is divided such that every file is in one portion, whatever its folders are called."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.disk.portions import portions
from modelkeep.disk.walk import walk

FOLDERS = ("", "a", "a/b", "a/b.c", "a-b", "a/b/c", "ä", "ﬀ", "\U0001f600", "\U0001f600/x", NOT_UTF8.strip("/"), "z")
FILES = 4
EXTENSIONS = (".pt",)
_LIES = """
    WITH asked(path, after, before) AS (VALUES (?, ?, ?)) SELECT path > after AND path < before FROM asked
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(FILES):
            (tmp_path / folder / f"{number}{NOT_UTF8.strip('/')}.pt").touch()
            (tmp_path / folder / f"b{number}.pt").symlink_to(tmp_path / folder / f"{number}{NOT_UTF8.strip('/')}.pt")
    return tmp_path


@pytest.mark.parametrize("most", [1, 10, 1_000])
def test_every_file_is_in_the_one_portion_that_the_catalogue_finds_it_in(tree: Path, most: int) -> None:
    listing = walk(str(tree), EXTENSIONS)
    parts = list(portions(listing, str(tree), most))

    entries = [entry for _, some in parts for entry in some]
    assert len(entries) == len(set(entries)) == len(FOLDERS) * FILES * 2
    assert set(entries) == listing.entries()
    assert (len(parts) > 1) is (most < len(entries))
    with closing(sqlite3.connect(":memory:")) as connection:
        for path in (entry[0] for entry in entries):
            found = [
                span
                for span, _ in parts
                for (lies,) in connection.execute(_LIES, [storable_path(text) for text in (path, *span)])
                if lies
            ]
            assert found == [span for span, some in parts if path in {entry[0] for entry in some}]


def test_a_portion_is_no_larger_than_asked_for_where_folders_allow_it(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(5):
            (tmp_path / str(folder) / f"{number}.pt").touch()
    sizes = [len(some) for _, some in portions(walk(str(tmp_path), EXTENSIONS), str(tmp_path), 10)]
    assert sizes == [10] * 10


def test_a_folder_without_files_is_one_portion_of_all_that_may_be_known_below_it(tmp_path: Path) -> None:
    ((span, entries),) = portions(walk(str(tmp_path), EXTENSIONS), str(tmp_path), 10)
    assert not entries
    assert span.after < f"{tmp_path}/a/b.pt" < span.before
