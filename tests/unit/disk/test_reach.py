"""What a failure means: a file that is gone is told from one whose root is away, even if only for a moment."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import followed

from modelkeep.disk.reach import explained, why_unseen
from modelkeep.disk.roots import Roots
from modelkeep.domain.naming import Root
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, RootAway, WorkerDied


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a.pt").touch()
    return folder


class Judged(Roots):
    """A root of which the test says whether it is the same."""

    def __init__(self, root: Path, is_same: Callable[[Root], bool]) -> None:
        super().__init__([Root(str(root))])
        self._is_same = is_same

    def is_same(self, root: Root) -> bool:
        return self._is_same(root)


def test_a_file_that_is_there_is_seen_and_one_that_is_gone_is_missing(root: Path) -> None:
    roots = followed(root)
    assert why_unseen(str(root / "a.pt"), roots) is None
    assert isinstance(why_unseen(str(root / "b.pt"), roots), FileVanished)
    assert isinstance(why_unseen("/in no root", roots), FileVanished)


def test_a_file_whose_root_is_away_is_not_missing(root: Path) -> None:
    error = why_unseen(str(root / "b.pt"), Roots([Root(str(root))]))
    assert isinstance(error, RootAway)
    assert str(root) in str(error)


def test_a_file_whose_root_was_away_only_while_one_looked_at_it_is_seen(root: Path) -> None:
    """Its root is back when one looks at that."""
    root.rename(root.with_name("away"))

    def is_back(_: Root) -> bool:
        if not root.exists():
            root.with_name("away").rename(root)
        return True

    assert why_unseen(str(root / "a.pt"), Judged(root, is_back)) is None


def test_a_failed_reading_is_no_fault_of_a_file_whose_root_is_away(root: Path) -> None:
    path, failed = str(root / "a.pt"), HashError("Input/output error")
    away = Roots([Root(str(root))])
    assert isinstance(explained(path, failed, away), RootAway)
    assert explained(path, failed, followed(root)) is failed
    for error in (FileChanged("x"), HashCancelled("x"), WorkerDied("x")):
        assert explained(path, error, away) is error
