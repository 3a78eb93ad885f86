"""What a failure means: a file that is gone is told from one whose root is away, even if only for a moment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelkeep.disk.reach import Reach
from modelkeep.domain.naming import Root
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, RootAway, WorkerDied


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a.pt").touch()
    return folder


def reach(root: Path, is_same: Callable[[Root], bool]) -> Reach:
    return Reach(lambda: [Root(str(root))], is_same)


def test_a_file_that_is_there_is_seen_and_one_that_is_gone_is_missing(root: Path) -> None:
    looked = reach(root, lambda _: True)
    assert looked.why_unseen(str(root / "a.pt")) is None
    assert isinstance(looked.why_unseen(str(root / "b.pt")), FileVanished)
    assert isinstance(looked.why_unseen("/in no root"), FileVanished)


def test_a_file_whose_root_is_away_is_not_missing(root: Path) -> None:
    error = reach(root, lambda _: False).why_unseen(str(root / "b.pt"))
    assert isinstance(error, RootAway)
    assert str(root) in str(error)


def test_a_file_whose_root_was_away_only_while_one_looked_at_it_is_seen(root: Path) -> None:
    """Its root is back when one looks at that."""
    root.rename(root.with_name("away"))

    def is_back(_: Root) -> bool:
        if not root.exists():
            root.with_name("away").rename(root)
        return True

    assert reach(root, is_back).why_unseen(str(root / "a.pt")) is None


def test_a_failed_reading_is_no_fault_of_a_file_whose_root_is_away(root: Path) -> None:
    path, failed = str(root / "a.pt"), HashError("Input/output error")
    assert isinstance(reach(root, lambda _: False).explained(path, failed), RootAway)
    assert reach(root, lambda _: True).explained(path, failed) is failed
    for error in (FileChanged("x"), HashCancelled("x"), WorkerDied("x")):
        assert reach(root, lambda _: False).explained(path, error) is error
