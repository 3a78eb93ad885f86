"""Whatever happens to folders, the kernel's watches are those that the observer believes in."""

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.exchanges import exchange
from tests.waiting import wait_until
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from modelkeep.disk.walk import walk
from modelkeep.domain.events import FileClosed, FolderExchanged, WatchEvent
from modelkeep.watch.kernel import Kernel
from modelkeep.watch.watcher import Watcher

_NAMES = ("a", "b", "c")


class Tree:
    """Two roots and a place outside, all watched or not by one watcher."""

    def __init__(self, folder: Path) -> None:
        self.roots = [folder / "root", folder / "other root"]
        self.outside = folder / "outside"
        for place in (*self.roots, self.outside):
            place.mkdir(parents=True)
        self.seen: list[WatchEvent] = []
        self.watcher = Watcher(self.seen.append, (".pt",), lambda _: False)
        for root in self.roots:
            self.watcher.add(str(root))
        self._marks = itertools.count()

    def folders(self) -> list[Path]:
        """Return all folders but the roots."""
        places = (*self.roots, self.outside)
        return sorted(path for place in places for path in place.rglob("*") if path.is_dir())

    def catch_up(self) -> None:
        """Wait until all that has happened was handed over."""
        for root in self.roots:
            mark = root / f"mark {next(self._marks)}.pt"
            mark.touch()
            wait_until(lambda: FileClosed(str(mark)) in self.seen, what="the watcher to catch up")  # noqa: B023
            mark.unlink()

    def wrong(self) -> list[str]:
        """Return the folders that the kernel does not watch as it is believed to."""
        found: list[str] = []
        for root in self.roots:
            found += self.watcher.mend_watches(str(root), walk(str(root), ()).folders)
        return found


@pytest.fixture(autouse=True)
def _halves_are_held_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InotifyMoveEventGrouper, "delay", 0.05)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    yield tree
    tree.watcher.stop()


class Steps:
    """Does random things to the folders of a tree."""

    def __init__(self, tree: Tree, seed: int) -> None:
        self.tree = tree
        self.chance = random.Random(seed)
        self.done: list[str] = []

    def do(self, number: int) -> None:
        """Do so many things, some of them before the watcher has caught up with those before."""
        for _ in range(number):
            step = self.chance.choice((self.make, self.make, self.rename, self.rename, self.exchange, self.remove))
            step()
            if self.chance.random() < 0.2:
                self.tree.catch_up()

    def make(self) -> None:
        path = self._free()
        self._note("make", path)
        (path / self.chance.choice(_NAMES)).mkdir(parents=True, exist_ok=True)

    def rename(self) -> None:
        chosen, new = self._some(), self._free()
        if chosen is not None and not new.is_relative_to(chosen):
            self._note("rename", chosen, new)
            chosen.rename(new)

    def exchange(self) -> None:
        one, other = self._some(), self._some()
        if one and other and not one.is_relative_to(other) and not other.is_relative_to(one):
            self._note("exchange", one, other)
            exchange(one, other)

    def remove(self) -> None:
        chosen = self._some()
        if chosen is not None:
            self._note("remove", chosen)
            shutil.rmtree(chosen)
            if self.chance.random() < 0.5:
                self._note("make again", chosen)
                (chosen / self.chance.choice(_NAMES)).mkdir(parents=True)

    def _some(self) -> Path | None:
        folders = self.tree.folders()
        return self.chance.choice(folders) if folders else None

    def _free(self) -> Path:
        places = [*self.tree.roots, self.tree.outside, *self.tree.folders()]
        names = [self.chance.choice(places) / name for name in (*_NAMES, ".hidden")]
        free = [path for path in names if not path.exists()]
        return self.chance.choice(free) if free else self._free()

    def _note(self, *words: object) -> None:
        self.done.append(" ".join(str(word).replace(f"{self.tree.outside.parent}/", "") for word in words))


def check_steps(folder: Path, seed: int, number: int) -> None:
    """Do things to folders, and check what is watched then."""
    tree = Tree(folder)
    try:
        steps = Steps(tree, seed)
        steps.do(number)
        tree.catch_up()
        assert tree.wrong() == [], steps.done
        for root in tree.roots:
            for path in [Path(path) / "last.pt" for path in walk(str(root), ()).folders]:
                path.touch()
                wait_until(lambda: FileClosed(str(path)) in tree.seen, what=str(steps.done))  # noqa: B023
    finally:
        tree.watcher.stop()


@pytest.mark.parametrize("seed", range(6))
def test_after_any_sequence_of_folder_events_each_folder_is_watched_under_its_path(tmp_path: Path, seed: int) -> None:
    check_steps(tmp_path / "tree", seed, 25)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_after_many_sequences_of_folder_events_each_folder_is_watched_under_its_path(
    tmp_path: Path, rounds: int, seed: int
) -> None:
    for number in range(rounds):
        check_steps(tmp_path / f"{number}", seed * 1_000_000 + number, 60)
        shutil.rmtree(tmp_path / f"{number}")


def test_that_two_folders_changed_places_is_told_once(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InotifyMoveEventGrouper, "delay", 10.0)  # however busy the machine is
    one, other = tree.roots[0] / "one", tree.roots[0] / "other"
    for folder in (one, other):
        (folder / folder.name).mkdir(parents=True)
    tree.catch_up()
    exchange(one, other)
    tree.catch_up()
    told = [event for event in tree.seen if isinstance(event, FolderExchanged)]
    assert told == [FolderExchanged(str(one), str(other))]
    assert tree.wrong() == []


def swap(root: Path) -> set[str]:
    exchange(root / "a", root / "b")
    return {"a", "b"}


def make(root: Path) -> set[str]:
    (root / "new").mkdir()
    return {"new"}


def make_again(root: Path) -> set[str]:
    (root / "a").rmdir()
    (root / "a").mkdir()
    return {"a"}


def move_out(root: Path) -> set[str]:
    (root / "c").rename(root.parent / "outside" / "c")
    return {"c"}


@pytest.mark.parametrize("happen", [swap, make, make_again, move_out])
def test_watches_that_are_wrong_are_found_and_put_right(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, happen: Callable[[Path], set[str]]
) -> None:
    root = tree.roots[0]
    for name in _NAMES:
        (root / name).mkdir()
    tree.catch_up()
    with monkeypatch.context() as deaf:
        dropped: list[bytes] = []
        deaf.setattr(Kernel, "handle_event", lambda _, event: dropped.append(event.name))
        concerned = happen(root)
        (root / "mark").mkdir()
        (root / "mark").rmdir()
        wait_until(lambda: dropped.count(b"mark") == 2, what="the events to be dropped")
    listed = walk(str(root), ()).folders
    wrong = tree.watcher.mend_watches(str(root), listed)
    assert {str(root / name) for name in concerned} <= set(wrong)
    assert tree.watcher.mend_watches(str(root), listed) == []
    for folder in listed:
        path = Path(folder, "x.pt")
        path.touch()
        wait_until(lambda: FileClosed(str(path)) in tree.seen)  # noqa: B023
