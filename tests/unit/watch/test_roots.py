"""The roots themselves: gone, back, empty, too many to watch; with real folders and a real catalogue."""

import asyncio
import errno
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from tests.fakes import put_into_catalogue
from tests.waiting import wait_until_async

from modelkeep.base.troubles import Troubles
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.roots import Roots
from modelkeep.disk.walk import Listing, walk
from modelkeep.domain.detection import Moved
from modelkeep.domain.events import FileClosed, WatchEvent
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.naming import Root
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import LocationState, PendingImport, PendingState, Priority, Record
from modelkeep.errors import RootSilent
from modelkeep.watch import reach, roots, scans
from modelkeep.watch.context import Context
from modelkeep.watch.intake import Intake
from modelkeep.watch.kernel import Kernel
from modelkeep.watch.roots import RootKeeper
from modelkeep.watch.watched_root import RootState
from modelkeep.watch.watcher import Watcher
from modelkeep.watch.watches import Group

A, B = "a" * 64, "b" * 64
NOW = 1_735_689_600_000
PRESENT, MISSING, UNREACHABLE = LocationState.PRESENT, LocationState.MISSING, LocationState.UNREACHABLE


@dataclass
class Watches:
    """Watches as the real one does, without the kernel; and refuses to, when the test says so."""

    roots: set[str] = field(default_factory=set)
    refuses: OSError | None = None
    most_folders: int = 1_000
    added: int = 0

    def add(self, root: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.roots.add(root)
        self.added += 1

    def remove(self, root: str) -> None:
        self.roots.discard(root)

    def is_alive(self, root: str) -> bool:
        return root in self.roots

    def polls(self, root: str) -> bool:
        return False

    def has_settled(self, root: str) -> bool:
        return False

    def watch_folders(self, root: str, folders: Sequence[str]) -> int:
        return min(len(folders), self.most_folders) if root in self.roots else 0


class Line:
    """The stages, of which nothing is wanted here."""

    def enqueue(
        self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool
    ) -> None: ...

    def renamed(self, moved: Moved) -> None: ...

    def exchanged(self, moves: Sequence[Moved]) -> None: ...

    def gone(self, path: str) -> None: ...

    def doubted(self, paths: Sequence[str]) -> None: ...

    def looked_at(self, paths: Sequence[str]) -> None: ...


class Bench:
    def __init__(self, folder: Path, *names: str, watcher: Watcher | None = None) -> None:
        self.folder = folder
        for name in names:
            (folder / name).mkdir(parents=True)
        looks = DiskLooks(Roots(Root(str(folder / name)) for name in names))
        self.roots = looks.roots
        self.returned = 0
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self.watches = Watches()
        self.journal: list[Record] = []
        troubles = Troubles(lambda event, fields: None)
        context = Context(self.catalogue, Line(), self.journal.extend, looks, (".pt",), lambda: NOW)
        intake = Intake(context, self.roots.ask_rescan)
        watcher = watcher or cast("Watcher", self.watches)
        self.keeper = RootKeeper(context, watcher, intake.scans, troubles, self._on_return)

    def _on_return(self) -> None:
        self.returned += 1

    def at(self, name: str) -> str:
        return str(self.folder / name)

    def state(self, name: str) -> RootState:
        return self.keeper.watched[self.at(name)].state

    def events(self, event: str) -> list[dict[str, object]]:
        return [dict(fields) for name, fields in self.journal if name == event]

    async def hashed(self, name: str, sha256: str, device: int | None = None) -> str:
        """Bring a file into the catalogue as one that is there, on its own or on another device."""
        path = self.folder / name
        put(path)
        fingerprint = fingerprint_of(str(path))
        assert fingerprint is not None
        if device is not None:
            fingerprint = fingerprint._replace(device=device)
        await put_into_catalogue(self.catalogue, str(path), sha256, fingerprint)
        return str(path)

    async def place(self, sha256: str) -> LocationState:
        details = await self.catalogue.model(sha256)
        assert details is not None
        (place,) = details.locations
        return place.state

    async def places(self, sha256: str, count: int) -> dict[str, LocationState]:
        """Return the locations of a model once there are so many."""
        details = await self.catalogue.model(sha256)
        places = {place.path: place.state for place in details.locations} if details else {}
        return places if len(places) == count else {}

    async def rescan(self, name: str) -> None:
        await self.keeper.rescan(self.at(name), "asked for")


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())


def replace_folder(old: Path, new: Path | None = None) -> None:
    """Put a folder out of the way, and an empty one (or another) in its place."""
    old.rename(old.with_name(old.name + " away"))
    if new is None:
        old.mkdir()
    else:
        new.rename(old)


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.catalogue.close()


@pytest.fixture
def bench(tmp_path: Path, benches: list[Bench]) -> Bench:
    benches.append(Bench(tmp_path, "models"))
    return benches[0]


@pytest.fixture
def mounted(bench: Bench) -> Iterator[Path]:
    """A file system of its own at `models/drive`."""
    folder = bench.folder / "models" / "drive"
    folder.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    yield folder
    unmount(folder)


def unmount(folder: Path) -> bool:
    return subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0


class TestOutside:
    async def test_what_no_root_contains_is_looked_at_in_turn_and_all_of_it_with_a_rescan(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(roots, "OUTSIDE_AT_ONCE", 2)
        await bench.keeper.start()
        hashes = [letter * 64 for letter in "abcde"]
        files = [Path(await bench.hashed(f"elsewhere/{sha256[0]}.pt", sha256)) for sha256 in hashes]

        async def missing() -> int:
            return [await bench.place(sha256) for sha256 in hashes].count(LocationState.MISSING)

        for file in files:
            file.unlink()
        seen = [(await bench.keeper.look_outside(), await missing()) for _ in range(3)]
        assert seen == [(True, 2), (True, 4), (False, 5)]
        for file in files:
            put(file)
        await bench.keeper.look_outside()
        for file in files:
            file.unlink()
        await bench.keeper.rescan_all("asked for")
        assert await missing() == 5


class TestComingAndGoing:
    async def test_a_root_that_is_there_is_watched_and_scanned(self, bench: Bench) -> None:
        put(bench.folder / "models" / "loras" / "a.pt")
        await bench.keeper.start()
        assert bench.state("models") is RootState.SCANNING
        await bench.rescan("models")
        assert bench.state("models") is RootState.WATCHING
        assert bench.keeper.watched[bench.at("models")].folders == 2
        assert bench.roots.is_reachable(Root(bench.at("models")))
        (told,) = bench.events("rescan.finished")
        assert (told["scanned"], told["appeared"]) == (1, 1)

    async def test_in_a_root_that_is_gone_nothing_is_missing(self, bench: Bench) -> None:
        await bench.hashed("models/a.pt", A)
        await bench.keeper.start()
        await bench.rescan("models")
        await asyncio.to_thread(shutil.move, bench.at("models"), bench.at("elsewhere"))
        for _ in range(3):
            await bench.keeper.check()
            await bench.rescan("models")
        assert bench.state("models") is RootState.UNREACHABLE
        assert not bench.roots.is_reachable(Root(bench.at("models")))
        assert await bench.place(A) is UNREACHABLE
        (told,) = bench.events("root.unreachable")
        assert (told["root"], told["locations"]) == (bench.at("models"), 1)

    async def test_what_was_on_its_way_when_a_root_was_lost_is_unreachable_as_well(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = await bench.hashed("models/a.pt", A)
        await bench.keeper.start()
        await asyncio.to_thread(shutil.move, bench.at("models"), bench.at("elsewhere"))
        await bench.keeper.check()
        (place,) = (await bench.catalogue.locations_at([path])).values()
        await bench.catalogue.put_locations([replace(place, state=PRESENT)], NOW)
        await bench.keeper.check()
        assert await bench.place(A) is UNREACHABLE
        assert len(bench.events("root.unreachable")) == 1
        monkeypatch.setattr(bench.catalogue, "set_state_below", None)
        await bench.keeper.check()  # nothing has changed since

    async def test_a_root_that_is_back_is_watched_scanned_and_what_stalled_in_it_is_due(self, bench: Bench) -> None:
        await bench.hashed("models/a.pt", A)
        await bench.keeper.start()
        row = LegacyRow("k", "d", bench.at("models/b.pt"), "", name="B")
        await bench.catalogue.import_rows("hikaze-v1", "s", [StagedRow(row)], NOW, lambda _: None)
        (pending,) = await bench.catalogue.pending_imports()
        later = Parked(pending.id, pending.path, PendingState.FAILED, "not there", NOW + 99_999, 9)
        await bench.catalogue.park([later])
        await asyncio.to_thread(shutil.move, bench.at("models"), bench.at("elsewhere"))
        await bench.keeper.check()
        await asyncio.to_thread(shutil.move, bench.at("elsewhere"), bench.at("models"))
        await bench.keeper.check()
        assert len(bench.events("root.returned")) == 1
        assert [each.due_at for each in await bench.catalogue.pending_imports()] == [NOW]
        await bench.rescan("models")
        assert await bench.place(A) is PRESENT
        assert bench.state("models") is RootState.WATCHING

    async def test_a_root_that_falls_silent_just_when_it_is_back_is_followed_at_the_next_look(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def says_nothing(path: str) -> str:
            raise RootSilent(path)

        put(bench.folder / "models" / "a.pt")
        await bench.keeper.start()
        await asyncio.to_thread(shutil.move, bench.at("models"), bench.at("elsewhere"))
        await bench.keeper.check()
        await asyncio.to_thread(shutil.move, bench.at("elsewhere"), bench.at("models"))
        with monkeypatch.context() as silence:
            silence.setattr("modelkeep.watch.reach.mount_point_of", says_nothing)
            await bench.keeper.check()
        assert bench.state("models") is RootState.UNREACHABLE
        await bench.keeper.check()
        assert bench.state("models") is RootState.SCANNING

    async def test_what_failed_while_a_root_was_away_for_a_moment_is_due_again_at_the_next_look(
        self, bench: Bench
    ) -> None:
        await bench.keeper.start()
        row = LegacyRow("k", "d", bench.at("models/b.pt"), "", name="B")
        await bench.catalogue.import_rows("hikaze-v1", "s", [StagedRow(row)], NOW, lambda _: None)
        (pending,) = await bench.catalogue.pending_imports()
        before = bench.returned
        await bench.catalogue.park([Parked(pending.id, pending.path, PendingState.FAILED, "away", NOW + 99_999, 9)])
        await bench.keeper.check()
        assert bench.returned == before
        bench.roots.doubt(pending.path)
        await bench.keeper.check()
        assert [each.due_at for each in await bench.catalogue.pending_imports()] == [NOW]
        assert bench.returned == before + 1

    async def test_a_root_that_was_replaced_is_watched_anew(self, bench: Bench) -> None:
        await bench.keeper.start()
        await bench.keeper.check()
        assert bench.watches.added == 1
        replace_folder(bench.folder / "models")
        await bench.keeper.check()
        assert bench.watches.added == 2
        assert bench.state("models") is RootState.SCANNING

    async def test_a_root_whose_watch_died_is_watched_anew(self, bench: Bench) -> None:
        await bench.keeper.start()
        bench.watches.roots.clear()
        await bench.keeper.check()
        assert bench.watches.added == 2

    async def test_a_root_that_is_no_folder_is_not_there(self, bench: Bench) -> None:
        (bench.folder / "models").rmdir()
        put(bench.folder / "models")
        await bench.keeper.start()
        assert bench.state("models") is RootState.UNREACHABLE

    async def test_a_root_that_goes_while_it_is_looked_at_is_not_there(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def go(path: str) -> bool:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

        monkeypatch.setattr(reach, "_has_entries", go)
        await bench.keeper.start()
        assert bench.events("root.unreachable")[0]["cause"] == "the folder is not there"

    async def test_what_was_asked_to_be_rescanned_is_rescanned_soon_and_once(self, bench: Bench) -> None:
        await bench.keeper.start()
        for _ in range(5):
            bench.roots.ask_rescan(bench.at("models"))
        bench.roots.ask_rescan("/unknown")
        task = asyncio.create_task(bench.keeper.run())
        await wait_until_async(lambda: bench.events("rescan.finished"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(bench.events("rescan.finished")) == 1


class TestMountPoints:
    async def test_an_empty_folder_that_was_full_on_another_device_is_a_drive_that_is_not_mounted(
        self, bench: Bench
    ) -> None:
        path = await bench.hashed("models/a.pt", A, device=4711)
        Path(path).unlink()  # noqa: ASYNC240 - it takes no time
        await bench.keeper.start()
        for _ in range(3):
            await bench.rescan("models")
            await bench.keeper.check()
        assert bench.state("models") is RootState.UNREACHABLE
        assert await bench.place(A) is UNREACHABLE
        assert "mounted" in str(bench.events("root.unreachable")[0]["cause"])
        assert len(bench.events("root.unreachable")) == 1
        assert bench.events("root.returned") == []

    async def test_an_empty_folder_at_which_something_was_mounted_from_its_own_device_is_one_that_is_not_mounted(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await bench.hashed("models/a.pt", A)
        points = {bench.at("models"): bench.at("models")}
        monkeypatch.setattr(reach, "mount_point_of", points.__getitem__)
        await bench.keeper.start()
        full = bench.folder / "models"
        replace_folder(full)
        points[bench.at("models")] = "/"
        for _ in range(2):
            await bench.keeper.check()
            assert bench.state("models") is RootState.UNREACHABLE
            assert await bench.place(A) is UNREACHABLE
        full.rmdir()
        (bench.folder / "models away").rename(full)
        points[bench.at("models")] = bench.at("models")
        await bench.keeper.check()
        await bench.rescan("models")
        assert await bench.place(A) is PRESENT
        assert not bench.events("file.missing")

    async def test_a_folder_that_was_emptied_on_its_own_device_is_there(self, bench: Bench) -> None:
        path = await bench.hashed("models/a.pt", A)
        await bench.keeper.start()
        Path(path).unlink()  # noqa: ASYNC240 - it takes no time
        await bench.rescan("models")
        assert bench.state("models") is RootState.WATCHING
        assert await bench.place(A) is MISSING

    async def test_a_root_that_goes_while_it_is_scanned_makes_nothing_missing(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when its drive is unmounted in that moment: an empty folder comes to light."""
        await bench.hashed("models/a.pt", A)
        await bench.keeper.start()

        def walk_what_is_left(folder: str, extensions: Iterable[str], root: str | None) -> Listing:
            replace_folder(Path(folder))
            return walk(folder, tuple(extensions), root)

        monkeypatch.setattr(scans, "walk", walk_what_is_left)
        await bench.rescan("models")
        assert await bench.place(A) is not MISSING


class TestMountsInRoots:
    @pytest.mark.parametrize("is_left", [True, False])
    async def test_what_lies_on_a_drive_below_a_root_is_not_missing_when_it_is_unmounted(
        self, bench: Bench, mounted: Path, is_left: bool
    ) -> None:
        """The mount is gone, though the root is there; with other files beside it or alone."""
        await bench.hashed("models/drive/a.pt", A)
        if is_left:
            await bench.hashed("models/b.pt", B)
        await bench.keeper.start()
        await bench.rescan("models")
        assert await asyncio.to_thread(unmount, mounted)
        await bench.rescan("models")
        assert await bench.place(A) is UNREACHABLE


class TestRootsInRoots:
    async def test_what_lies_in_an_inner_root_that_is_gone_is_not_missing_in_the_outer_one(
        self, tmp_path: Path, benches: list[Bench]
    ) -> None:
        benches.append(Bench(tmp_path, "models", "models/loras"))
        bench = benches[0]
        await bench.hashed("models/loras/a.pt", A)
        await bench.keeper.start()
        await asyncio.to_thread(shutil.move, bench.at("models/loras"), bench.at("elsewhere"))
        await bench.keeper.check()
        assert bench.state("models/loras") is RootState.UNREACHABLE
        await bench.rescan("models")
        assert await bench.place(A) is UNREACHABLE


class Fatal:
    """Ends the thread that calls it."""

    def __call__(self, *_: object) -> None:
        raise RuntimeError("this thread ends here")


class Heard(list[WatchEvent]):
    """What a watcher handed over."""

    def take(self, event: WatchEvent) -> None:
        self.append(event)


def end_dispatcher(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "take", Fatal())


def end_emitters(_: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "read_event", Fatal())


def end_reader(_: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "handle_event", Fatal())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestThreadsThatEnd:
    @pytest.mark.parametrize("end", [end_dispatcher, end_emitters, end_reader])
    async def test_a_thread_of_the_watcher_that_ended_is_told_and_the_roots_are_watched_again(
        self,
        tmp_path: Path,
        benches: list[Bench],
        monkeypatch: pytest.MonkeyPatch,
        end: Callable[[Heard, pytest.MonkeyPatch], None],
    ) -> None:
        seen = Heard()
        watcher = Watcher(lambda event: seen.take(event), (".pt",), lambda _: False)
        bench = Bench(tmp_path, "models", "others", watcher=watcher)
        benches.append(bench)
        try:
            await bench.keeper.start()
            with monkeypatch.context() as patched:
                end(seen, patched)
                for number in range(3):  # it is in the middle of waiting for the first
                    put(tmp_path / "models" / f"{number}.pt")
                await wait_until_async(lambda: not watcher.is_alive(bench.at("models")))
            await bench.keeper.check()
            told = {str(fields["root"]) for fields in bench.events("watch.restarted")}
            assert bench.at("models") in told
            for name in ("models", "others"):
                path = tmp_path / name / "later.pt"
                put(path)
                await wait_until_async(lambda: FileClosed(str(path)) in seen)  # noqa: B023 - it is asked at once
        finally:
            watcher.stop()


@pytest.mark.usefixtures("walks_without_rights")
class TestUnreadableFolders:
    async def test_what_lies_in_a_folder_that_cannot_be_read_stays_unreachable(
        self, open_folder: Path, benches: list[Bench]
    ) -> None:
        benches.append(Bench(open_folder, "models"))
        bench = benches[0]
        (open_folder / "models").chmod(0o755)
        await bench.hashed("models/closed/a.pt", A)
        await bench.hashed("models/b.pt", B)
        await bench.keeper.start()
        await bench.catalogue.set_state_below(bench.at("models"), PRESENT, UNREACHABLE)
        (open_folder / "models" / "closed").chmod(0)
        await bench.rescan("models")
        (open_folder / "models" / "closed").chmod(0o755)
        assert await bench.place(B) is PRESENT
        assert await bench.place(A) is UNREACHABLE

    async def test_a_folder_that_cannot_be_read_any_more_is_told_once_until_it_can(
        self, open_folder: Path, benches: list[Bench]
    ) -> None:
        benches.append(Bench(open_folder, "models"))
        bench, closed = benches[0], open_folder / "models" / "closed"
        (open_folder / "models").chmod(0o755)
        put(closed / "a.pt")
        await bench.keeper.start()
        await bench.rescan("models")
        before = len(bench.events("rescan.finished"))
        closed.chmod(0)
        try:
            for _ in range(2):
                await bench.rescan("models")
            assert bench.keeper.watched[bench.at("models")].reason == f"{closed} cannot be read: Permission denied"
        finally:
            closed.chmod(0o755)
        (told,) = bench.events("rescan.finished")[before:]
        assert told["unreadable"] == [f"{closed}: Permission denied"]
        await bench.rescan("models")
        assert bench.keeper.watched[bench.at("models")].reason == ""


class TestLimits:
    async def test_when_not_all_folders_can_be_watched_the_owner_is_told_once_how_to_help(self, bench: Bench) -> None:
        for name in "abc":
            put(bench.folder / "models" / name / "x.pt")
        bench.watches.most_folders = 2
        await bench.keeper.start()
        for _ in range(3):
            await bench.rescan("models")
        assert bench.state("models") is RootState.LIMITED
        (told,) = bench.events("watch.limited")
        assert (told["folders"], told["watched"]) == (4, 2)
        assert "max_user_watches" in str(told["remedy"])
        assert "2 of 4 folders are not watched" in bench.keeper.watched[bench.at("models")].reason
        bench.watches.most_folders = 100
        await bench.rescan("models")
        assert bench.state("models") is RootState.WATCHING
        assert bench.keeper.watched[bench.at("models")].reason == ""

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
    async def test_a_root_that_the_kernel_will_not_watch_is_rescanned_by_the_clock_and_not_all_the_time(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        bench.watches.refuses = OSError(number, "limit reached")
        await bench.keeper.start()
        task = asyncio.create_task(bench.keeper.run())
        await wait_until_async(lambda: bench.state("models") is RootState.LIMITED)
        asked: list[str] = []
        monkeypatch.setattr(bench.roots, "ask_rescan", asked.append)
        for _ in range(5):
            await bench.keeper.check()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asked == []
        assert len(bench.events("watch.limited")) == 1

    async def test_once_the_limit_is_raised_the_root_is_watched(self, bench: Bench) -> None:
        bench.watches.refuses = OSError(errno.ENOSPC, "limit reached")
        await bench.keeper.start()
        await bench.rescan("models")
        bench.watches.refuses = None
        await bench.keeper.check()
        await bench.rescan("models")
        assert bench.state("models") is RootState.WATCHING

    async def test_a_root_that_may_not_be_watched_is_told_with_the_reason(self, bench: Bench) -> None:
        bench.watches.refuses = OSError(errno.EACCES, "Permission denied")
        await bench.keeper.start()
        assert bench.state("models") is RootState.UNREACHABLE
        assert "Permission denied" in str(bench.events("root.unreachable")[0]["cause"])


class TestOtherRoots:
    async def test_what_lies_in_a_root_that_is_left_out_is_unreachable_and_comes_back_with_it(
        self, bench: Bench
    ) -> None:
        await bench.hashed("models/a.pt", A)
        (bench.folder / "other").mkdir()
        await bench.keeper.start()
        await bench.keeper.change([Root(bench.at("other"))])
        assert [root.path for root in bench.roots.configured] == [bench.at("other")]
        assert await bench.place(A) is UNREACHABLE
        assert bench.watches.roots == {bench.at("other")}
        await bench.keeper.change([Root(bench.at("models"), type="mixed")])
        await bench.rescan("models")
        assert await bench.place(A) is PRESENT
        assert bench.roots.configured == (Root(bench.at("models"), type="mixed"),)

    async def test_all_roots_are_rescanned_and_counted(self, tmp_path: Path, benches: list[Bench]) -> None:
        benches.append(Bench(tmp_path, "one", "two", "three"))
        bench = benches[0]
        for name in ("one/a.pt", "one/b.pt", "two/c.pt"):
            put(tmp_path / name)
        await bench.keeper.start()
        (tmp_path / "three").rmdir()
        await bench.keeper.check()
        assert await bench.keeper.rescan_all("asked for") == {"scanned": 3, "added": 3}
        assert (await bench.keeper.rescan_all("asked for"))["added"] == 0

    async def test_a_link_into_a_root_that_is_back_is_found_though_no_event_tells_of_it(
        self, tmp_path: Path, benches: list[Bench]
    ) -> None:
        benches.append(Bench(tmp_path, "one", "two"))
        bench = benches[0]
        path = await bench.hashed("one/a.pt", A)
        await bench.keeper.start()
        task = asyncio.create_task(bench.keeper.run())
        await wait_until_async(lambda: len(bench.events("rescan.finished")) == 2)
        (tmp_path / "one").rename(tmp_path / "away")
        await bench.keeper.check()
        (tmp_path / "two" / "link.pt").symlink_to(path)
        await bench.rescan("two")
        (tmp_path / "away").rename(tmp_path / "one")
        await bench.keeper.check()

        async def are_present() -> bool:  # which of the roots is looked through first is not said
            return await bench.places(A, 2) == {path: PRESENT, bench.at("two/link.pt"): PRESENT}

        found: bool = await wait_until_async(are_present)
        assert found
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
