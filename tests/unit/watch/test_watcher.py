"""Real inotify: what happens in a folder arrives in the project's own words, in order, and nothing else does."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes import NOT_UTF8
from tests.process_groups import kernel_watches
from tests.waiting import wait_until
from watchdog.observers.inotify_c import InotifyEvent

from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderGone,
    FolderMoved,
    SidecarsTouched,
    WatchEvent,
)
from modelkeep.watch.watcher import Watcher
from modelkeep.watch.watches import Group

EXTENSIONS = (".safetensors", ".pt")


def watches_in_kernel() -> int:
    """Return how many watches the kernel has for this process."""
    return kernel_watches(os.getpid())


class Seen(list[WatchEvent]):
    """What the watcher handed over."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._marks = 0

    def wait_for(self, event: WatchEvent) -> None:
        wait_until(lambda: event in self, what=str(event))

    def until_now(self) -> list[WatchEvent]:
        """Return what happened in the root before this call, without repetitions side by side.

        Of another root nothing is known: each has a thread of its own.
        """
        self._marks += 1
        mark = self._root / f"mark-{self._marks}.pt"
        mark.touch()
        wait_until(lambda: FileClosed(str(mark)) in self, what="the watcher to catch up")
        events = [
            event for event in self if not str(getattr(event, "path", "")).startswith(str(self._root / "mark-"))
        ]
        self.clear()
        return [event for number, event in enumerate(events) if number == 0 or events[number - 1] != event]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "loras").mkdir(parents=True)
    return root


@pytest.fixture
def make_watcher() -> Iterator[Callable[..., Watcher]]:
    made: list[Watcher] = []

    def make(sink: Callable[[WatchEvent], None], polling: Callable[[str], bool] = lambda _: False) -> Watcher:
        made.append(Watcher(sink, EXTENSIONS, polling))
        return made[-1]

    yield make
    for watcher in made:
        watcher.stop()


@pytest.fixture
def seen(root: Path) -> Seen:
    return Seen(root)


@pytest.fixture
def watcher(make_watcher: Callable[..., Watcher], seen: Seen, root: Path) -> Watcher:
    watcher = make_watcher(seen.append)
    watcher.add(str(root))
    return watcher


@pytest.mark.usefixtures("watcher")
class TestFiles:
    @pytest.mark.parametrize("name", ["a.pt", "loras/a.SAFETENSORS", f"loras/{NOT_UTF8}", "a b's.pt"])
    def test_a_new_file_appears_and_is_closed(self, root: Path, seen: Seen, name: str) -> None:
        path = root / name
        path.write_bytes(b"x")
        assert seen.until_now() == [FileAppeared(str(path)), FileClosed(str(path))]

    def test_a_file_that_is_written_again_is_closed_again(self, root: Path, seen: Seen) -> None:
        path = root / "a.pt"
        path.write_bytes(b"x")
        seen.until_now()
        with path.open("ab") as file:
            file.write(b"y")
        assert seen.until_now() == [FileClosed(str(path))]

    def test_reading_a_file_is_no_event(self, root: Path, seen: Seen) -> None:
        path = root / "a.pt"
        path.write_bytes(b"x")
        seen.until_now()
        path.read_bytes()
        list(root.iterdir())
        assert seen.until_now() == []

    def test_a_file_that_gets_another_time_or_other_rights_is_to_be_looked_at(self, root: Path, seen: Seen) -> None:
        path = root / "a.pt"
        path.write_bytes(b"x")
        seen.until_now()
        os.utime(path)
        assert seen.until_now() == [FileAppeared(str(path))]
        path.chmod(0o600)
        assert seen.until_now() == [FileAppeared(str(path))]

    def test_a_folder_that_gets_other_rights_is_to_be_looked_through(self, root: Path, seen: Seen) -> None:
        (root / "loras").chmod(0o750)
        assert seen.until_now() == [FolderAppeared(str(root / "loras"))]

    def test_a_file_that_is_moved_in_appears(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        outside = tmp_path / "a.pt"
        outside.write_bytes(b"x")
        outside.rename(root / "loras" / "a.pt")
        assert seen.until_now() == [FileAppeared(str(root / "loras" / "a.pt"))]

    def test_a_file_that_is_moved_out_or_deleted_is_gone(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        for name in ("a.pt", "b.pt"):
            (root / name).write_bytes(b"x")
        seen.until_now()
        (root / "a.pt").rename(tmp_path / "a.pt")
        (root / "b.pt").unlink()
        assert seen.until_now() == [FileGone(str(root / "a.pt")), FileGone(str(root / "b.pt"))]

    def test_a_rename_is_told_with_both_names(self, root: Path, seen: Seen) -> None:
        old, new = root / "a.pt", root / "loras" / NOT_UTF8
        old.write_bytes(b"x")
        seen.until_now()
        old.rename(new)
        assert seen.until_now() == [FileMoved(str(old), str(new))]

    def test_a_file_that_gets_its_final_name_has_appeared_complete(self, root: Path, seen: Seen) -> None:
        for suffix in (".part", ".crdownload", ".tmp", ".aria2__temp"):
            unfinished, final = root / f"a.pt{suffix}", root / f"{suffix[1:]}.pt"
            unfinished.write_bytes(b"x")
            unfinished.rename(final)
            assert seen.until_now() == [FileAppeared(str(final), complete=True)]

    def test_a_file_that_is_hidden_or_renamed_to_something_else_is_gone(self, root: Path, seen: Seen) -> None:
        for name in (".a.pt", "a.pt.bak", "a.txt"):
            path = root / "a.pt"
            path.write_bytes(b"x")
            seen.until_now()
            path.rename(root / name)
            assert seen.until_now() == [FileGone(str(path))]

    def test_what_is_no_model_is_no_event(self, root: Path, seen: Seen) -> None:
        for name in ("a.zip", "a.pt.part", ".a.pt", ".a.png", "a.aria2"):
            path = root / name
            path.write_bytes(b"x")
            path.rename(root / f"{name}.zip")
            (root / f"{name}.zip").unlink()
        assert seen.until_now() == []

    def test_what_may_belong_to_a_model_is_looked_at(self, root: Path, seen: Seen) -> None:
        path = root / "a.PNG"
        path.write_bytes(b"x")
        path.rename(root / "a.json")
        told = seen.until_now()
        assert {type(event) for event in told} == {SidecarsTouched}
        assert SidecarsTouched((str(path), str(root / "a.json"))) in told

    def test_when_aria2_is_done_the_file_beside_its_control_file_is_closed(self, root: Path, seen: Seen) -> None:
        control = root / "a.pt.aria2"
        control.touch()
        control.unlink()
        assert seen.until_now() == [FileClosed(str(root / "a.pt"))]

    @pytest.mark.parametrize("name", ["archive.zip", "notes.txt", ".a.pt", "a.pt.part"])
    def test_when_aria2_is_done_with_something_else_nothing_has_happened(
        self, root: Path, seen: Seen, name: str
    ) -> None:
        control = root / f"{name}.aria2"
        control.touch()
        control.unlink()
        assert seen.until_now() == []


@pytest.mark.usefixtures("watcher")
class TestFolders:
    def test_a_new_folder_appears_and_what_is_put_into_it_later(self, root: Path, seen: Seen) -> None:
        folder = root / "new"
        folder.mkdir()
        assert seen.until_now() == [FolderAppeared(str(folder))]
        (folder / "a.pt").write_bytes(b"x")
        assert seen.until_now() == [FileAppeared(str(folder / "a.pt")), FileClosed(str(folder / "a.pt"))]

    def test_a_folder_that_is_moved_in_appears_and_its_files_are_not_told_one_by_one(
        self, root: Path, seen: Seen, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        (outside / "deep").mkdir(parents=True)
        (outside / "deep" / "a.pt").write_bytes(b"x")
        outside.rename(root / "inside")
        assert seen.until_now() == [FolderAppeared(str(root / "inside"))]

    def test_a_folder_that_is_renamed_is_told_once_with_both_names(self, root: Path, seen: Seen) -> None:
        (root / "loras" / "x").mkdir()
        (root / "loras" / "x" / "a.pt").write_bytes(b"x")
        seen.until_now()
        (root / "loras").rename(root / "lora")
        assert seen.until_now() == [FolderMoved(str(root / "loras"), str(root / "lora"))]
        (root / "lora" / "x" / "b.pt").write_bytes(b"x")
        assert FileClosed(str(root / "lora" / "x" / "b.pt")) in seen.until_now()

    def test_a_folder_that_is_deleted_or_moved_out_is_gone(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        (root / "vae").mkdir()
        seen.until_now()
        (root / "loras").rmdir()
        (root / "vae").rename(tmp_path / "vae")
        assert seen.until_now() == [FolderGone(str(root / "loras")), FolderGone(str(root / "vae"))]

    def test_a_file_in_a_link_to_a_folder_is_seen_once_the_folder_is_watched(
        self, watcher: Watcher, root: Path, seen: Seen, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        link = root / "link"
        link.symlink_to(tmp_path / "elsewhere")
        before = watches_in_kernel()
        assert watcher.watch_folders(str(root), [str(root), str(root / "loras"), str(link)]) == 3
        assert watches_in_kernel() == before + 1
        (link / "a.pt").write_bytes(b"x")
        assert FileClosed(str(link / "a.pt")) in seen.until_now()

    def test_folders_that_are_watched_already_are_not_watched_twice(self, watcher: Watcher, root: Path) -> None:
        folders = [str(root), str(root / "loras")]
        assert watches_in_kernel() == 2
        assert watcher.watch_folders(str(root), folders) == 2
        assert watcher.watch_folders(str(root), folders) == 2
        assert watches_in_kernel() == 2


class TestRoots:
    def test_a_root_that_is_not_there_cannot_be_watched(
        self, make_watcher: Callable[..., Watcher], tmp_path: Path
    ) -> None:
        watcher = make_watcher(lambda _: None)
        with pytest.raises(OSError, match="No such file"):
            watcher.add(str(tmp_path / "nowhere"))
        assert not watcher.is_alive(str(tmp_path / "nowhere"))

    def test_a_root_is_alive_while_it_is_watched(self, watcher: Watcher, root: Path) -> None:
        assert watcher.is_alive(str(root))
        assert not watcher.polls(str(root))
        watcher.remove(str(root))
        assert not watcher.is_alive(str(root))
        assert watches_in_kernel() == 0
        assert watcher.watch_folders(str(root), [str(root)]) == 0

    def test_a_root_that_is_removed_is_not_heard_of_and_may_be_added_again(
        self, watcher: Watcher, root: Path, seen: Seen, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        watcher.add(str(other))
        watcher.remove(str(other))
        watcher.remove(str(other))
        (other / "a.pt").touch()
        assert seen.until_now() == []
        watcher.add(str(other))
        watcher.add(str(other))
        (other / "b.pt").touch()
        seen.wait_for(FileClosed(str(other / "b.pt")))
        assert seen == [FileAppeared(str(other / "b.pt")), FileClosed(str(other / "b.pt"))]

    def test_several_roots_are_watched_at_once(
        self, watcher: Watcher, root: Path, seen: Seen, tmp_path: Path
    ) -> None:
        other = tmp_path / NOT_UTF8
        other.mkdir()
        watcher.add(str(other))
        (other / "a.pt").touch()
        seen.wait_for(FileClosed(str(other / "a.pt")))
        assert watcher.is_alive(str(root))
        assert watcher.is_alive(str(other))

    def test_a_root_that_was_deleted_can_be_removed_and_added_when_it_is_back(
        self, watcher: Watcher, seen: Seen, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        watcher.add(str(other))
        other.rmdir()
        seen.until_now()
        watcher.remove(str(other))
        other.mkdir()
        watcher.add(str(other))
        (other / "a.pt").touch()
        seen.wait_for(FileClosed(str(other / "a.pt")))

    def test_when_the_kernel_drops_events_the_root_is_reported_and_goes_on_being_watched(
        self, watcher: Watcher, root: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        groups: list[Group] = []
        on_event = Group.on_event

        def note_and_take(group: Group, event: InotifyEvent) -> None:
            groups.append(group)
            on_event(group, event)

        monkeypatch.setattr(Group, "on_event", note_and_take)
        seen.until_now()
        seen.clear()
        before = watches_in_kernel()
        groups[0].on_queue_overflow()
        assert seen == [EventsLost(str(root))]
        assert watcher.overflows == 1
        assert watches_in_kernel() == before
        seen.clear()
        (root / "a.pt").touch()
        assert FileClosed(str(root / "a.pt")) in seen.until_now()

    def test_a_network_file_system_is_polled(self, make_watcher: Callable[..., Watcher], root: Path) -> None:
        watcher = make_watcher(lambda _: None, polling=lambda path: path == str(root))
        watcher.add(str(root))
        assert watcher.polls(str(root))
        assert watcher.is_alive(str(root))
        assert watches_in_kernel() == 0
        watcher.remove(str(root))
        assert not watcher.polls(str(root))

    def test_stopping_twice_and_before_a_start_is_fine(
        self, make_watcher: Callable[..., Watcher], root: Path
    ) -> None:
        watcher = make_watcher(lambda _: None)
        watcher.stop()
        watcher.add(str(root))
        watcher.stop()
        watcher.stop()
        assert not watcher.is_alive(str(root))


@pytest.mark.parametrize("polls", [True, False])
def test_a_root_that_is_gone_before_it_can_be_watched_is_told(tmp_path: Path, polls: bool) -> None:
    watcher = Watcher(lambda _: None, (".pt",), lambda _: polls)
    try:
        with pytest.raises(FileNotFoundError):
            watcher.add(str(tmp_path / "nowhere"))
    finally:
        watcher.stop()
