"""Events and scans become rows, renames and missing files: with a real catalogue and real folders."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.exchanges import exchange
from tests.fakes import NOT_UTF8, followed, location_at, put_into_catalogue
from tests.libraries import write_and_date_back

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store.scanning import Compared
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.detection import Moved
from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    WatchEvent,
)
from modelkeep.domain.fingerprint import Entry, Fingerprint
from modelkeep.domain.legacy import LegacyRow, StagedRow
from modelkeep.domain.naming import Root, Span
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import Location, LocationState, PendingImport, PendingState, Priority, Record
from modelkeep.watch import scans
from modelkeep.watch.context import Context
from modelkeep.watch.intake import Intake

A, B = "a" * 64, "b" * 64
NOW = 1_735_689_600_000
PRESENT, MISSING = LocationState.PRESENT, LocationState.MISSING


@dataclass
class Line:
    """What the intake hands over to the stages."""

    taken_up: list[tuple[str, Priority, bool]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    let_go: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        self.taken_up += [(row.path, priority, closed) for row, _ in rows]

    def renamed(self, moved: Moved) -> None:
        self.moved.append((moved.old, moved.new))

    def exchanged(self, moves: Sequence[Moved]) -> None:
        self.moved += [(moved.old, moved.new) for moved in moves]

    def gone(self, path: str) -> None:
        self.let_go.append(path)

    def doubted(self, paths: Sequence[str]) -> None: ...

    def looked_at(self, paths: Sequence[str]) -> None: ...


class Bench:
    """An intake over one root, and what it knows."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "models"
        self.root.mkdir()
        self.roots = followed(self.root, accepts_empty=lambda path: "shadow_" in path)
        self.catalogue = Catalogue.open(folder / "modelkeep.db")
        self.line = Line()
        self.journal: list[Record] = []
        context = Context(
            self.catalogue,
            self.line,
            self.journal.extend,
            DiskLooks(self.roots),
            (".pt", ".safetensors"),
            lambda: NOW,
        )
        self.intake = Intake(context, self.line.lost.append)

    def put(self, name: str, content: bytes = b"x") -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def at(self, name: str) -> str:
        return str(self.root / name)

    def rename(self, old: str, new: str) -> None:
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(self.root / new)

    def remove(self, name: str) -> None:
        path = self.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    async def apply(self, *events: WatchEvent) -> None:
        await self.intake.apply(events)

    async def hashed(self, name: str, sha256: str, content: bytes = b"x") -> str:
        """Bring a file into the catalogue as one that is there."""
        path = self.put(name, content)
        fingerprint = fingerprint_of(path)
        assert fingerprint is not None
        await put_into_catalogue(self.catalogue, path, sha256, fingerprint)
        return path

    async def described(self, name: str, claim: str = "") -> str:
        """Let a legacy source know something of a file."""
        path = self.at(name)
        row = LegacyRow(path, "d", path, path, name="Chosen", claim=claim)
        staged = StagedRow(row, on_disk=fingerprint_of(path))
        await self.catalogue.import_rows("hikaze-v1", path, [staged], NOW, lambda _: None)
        return path

    async def queued(self) -> dict[str, PendingState]:
        return {row.path: row.state for row in await self.catalogue.pending_imports()}

    async def paths(self, sha256: str) -> dict[str, LocationState]:
        details = await self.catalogue.model(sha256)
        return {place.path: place.state for place in details.locations} if details else {}

    async def locations(self) -> list[Location]:
        known, _ = await self.catalogue.known_below(str(self.root))
        return known

    def writes(self) -> int:
        """Return how often something was committed: SQLite counts in the head of each page of its log."""
        return commits_in((self.root.parent / "modelkeep.db-wal").read_bytes())

    def events(self, event: str) -> list[dict[str, object]]:
        return [dict(fields) for name, fields in self.journal if name == event]


def commits_in(log: bytes) -> int:
    """Count the frames that end a transaction; https://sqlite.org/fileformat2.html#the_write_ahead_log."""
    page_bytes = int.from_bytes(log[8:12], "big")
    heads = (log[start : start + 24] for start in range(32, len(log), 24 + page_bytes))
    return sum(head[4:8] != bytes(4) for head in heads)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.catalogue.close()


class TestFiles:
    @pytest.mark.parametrize("name", ["a.pt", f"loras/{NOT_UTF8}"])
    async def test_an_unknown_file_is_queued_and_told(self, bench: Bench, name: str) -> None:
        path = bench.put(name)
        await bench.apply(FileAppeared(path))
        assert await bench.queued() == {path: PendingState.WAITING}
        assert bench.line.taken_up == [(path, Priority.NEW, False)]
        assert [fields["path"] for fields in bench.events("file.detected")] == [path]

    @pytest.mark.parametrize(
        ("kinds", "closed"),
        [((True, False), True), ((False, False), False), ((False, True), True)],
    )
    async def test_events_of_one_file_are_taken_together(
        self, bench: Bench, kinds: tuple[bool, bool], closed: bool
    ) -> None:
        path = bench.put("a.pt")
        await bench.apply(*(FileClosed(path) if kind else FileAppeared(path) for kind in kinds))
        assert bench.line.taken_up == [(path, Priority.NEW, closed)]

    async def test_a_file_that_was_renamed_to_its_final_name_counts_as_closed(self, bench: Bench) -> None:
        path = bench.put("a.pt")
        await bench.apply(FileAppeared(path, complete=True))
        assert bench.line.taken_up == [(path, Priority.NEW, True)]

    async def test_what_is_hidden_outside_or_gone_is_not_looked_at(self, bench: Bench, tmp_path: Path) -> None:
        hidden, outside = bench.put(".cache/a.pt"), tmp_path / "outside.pt"
        outside.touch()
        await bench.apply(FileClosed(hidden), FileClosed(str(outside)), FileClosed(bench.at("nowhere.pt")))
        assert await bench.queued() == {}

    async def test_an_empty_file_is_not_queued_unless_it_is_a_stand_in(self, bench: Bench) -> None:
        empty, shadow = bench.put("a.pt", b""), bench.put("shadow_a.pt", b"")
        await bench.apply(FileClosed(empty), FileClosed(shadow))
        assert list(await bench.queued()) == [shadow]

    async def test_a_known_file_that_is_as_it_was_is_no_news(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        await bench.apply(FileClosed(path))
        assert (await bench.queued(), bench.line.taken_up, bench.journal) == ({}, [], [])

    async def test_a_known_file_whose_row_was_put_off_is_taken_up_again(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        await bench.described("a.pt")
        (row,) = await bench.catalogue.pending_imports()
        await bench.catalogue.park([Parked(row.id, path, PendingState.MISSING, "no file", NOW + 99_999, 1)])
        await bench.apply(FileAppeared(path))
        assert await bench.queued() == {path: PendingState.WAITING}
        assert bench.line.taken_up == [(path, Priority.NEW, False)]

    async def test_a_known_file_with_other_content_is_queued(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        bench.put("a.pt", b"other")
        await bench.apply(FileClosed(path))
        assert bench.line.taken_up == [(path, Priority.NEW, True)]
        assert await bench.paths(A) == {path: MISSING}, "it has another size: whatever it is, it is not A"

    async def test_a_missing_file_that_is_back_needs_no_reading(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        bench.rename("a.pt", ".hidden")
        await bench.apply(FileGone(path))
        assert await bench.paths(A) == {path: MISSING}
        bench.rename(".hidden", "a.pt")
        await bench.apply(FileAppeared(path, complete=True))
        assert await bench.paths(A) == {path: PRESENT}
        assert (await bench.queued(), bench.line.taken_up) == ({}, [])
        assert len(bench.events("file.returned")) == 1

    async def test_a_file_that_is_gone_is_missing(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        bench.remove("a.pt")
        await bench.apply(FileGone(path))
        assert await bench.paths(A) == {path: MISSING}
        assert bench.line.let_go == [path]
        assert [fields["sha256"] for fields in bench.events("file.missing")] == [A]

    async def test_a_file_that_is_said_to_be_gone_but_is_there_is_there(self, bench: Bench) -> None:
        path = await bench.hashed("a.pt", A)
        await bench.apply(FileGone(path))
        assert await bench.paths(A) == {path: PRESENT}
        assert bench.line.let_go == []

    async def test_a_claimed_file_that_is_seen_is_not_read_at_once(self, bench: Bench) -> None:
        path = bench.put("a.pt")
        await bench.described("a.pt", claim=A)
        await bench.apply(FileClosed(path))
        assert bench.line.taken_up == []
        (claim,) = await bench.catalogue.claims(10)
        assert claim.fingerprint == fingerprint_of(path)


class TestRenames:
    async def test_a_rename_reads_no_byte(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", f"loras/{NOT_UTF8}")
        new = bench.at(f"loras/{NOT_UTF8}")
        await bench.apply(FileMoved(old, new))
        assert await bench.paths(A) == {new: PRESENT}
        assert (bench.line.moved, bench.line.taken_up) == ([(old, new)], [])
        (told,) = bench.events("file.moved")
        assert (told["path"], told["old_path"], told["sha256"]) == (new, old, A)

    async def test_a_file_that_waits_goes_along(self, bench: Bench) -> None:
        bench.put("a.pt")
        old = await bench.described("a.pt")
        bench.rename("a.pt", "b.pt")
        await bench.apply(FileMoved(old, bench.at("b.pt")))
        assert await bench.queued() == {bench.at("b.pt"): PendingState.WAITING}
        assert bench.line.moved == [(old, bench.at("b.pt"))]

    async def test_an_unknown_file_is_queued_under_its_new_name(self, bench: Bench) -> None:
        new = bench.put("b.pt")
        await bench.apply(FileMoved(bench.at("a.pt"), new))
        assert bench.line.taken_up == [(new, Priority.NEW, True)]

    async def test_a_file_that_is_moved_into_a_hidden_folder_is_missing(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", ".Trash-1000/files/a.pt")
        await bench.apply(FileMoved(old, bench.at(".Trash-1000/files/a.pt")))
        assert await bench.paths(A) == {old: MISSING}

    async def test_a_file_that_is_gone_again_is_missing(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.remove("a.pt")
        await bench.apply(FileMoved(old, bench.at("b.pt")))
        assert await bench.paths(A) == {bench.at("b.pt"): MISSING}

    async def test_a_file_that_was_written_after_its_rename_is_queued(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", "b.pt")
        bench.put("b.pt", b"other content")
        await bench.apply(FileMoved(old, bench.at("b.pt")))
        assert bench.line.taken_up == [(bench.at("b.pt"), Priority.NEW, True)]

    async def test_content_that_is_replaced_by_a_rename_is_told(self, bench: Bench) -> None:
        old, target = await bench.hashed("a.pt", A), await bench.hashed("b.pt", B, b"other")
        bench.rename("a.pt", "b.pt")
        await bench.apply(FileMoved(old, target))
        assert await bench.paths(A) == {target: PRESENT}
        (told,) = bench.events("file.changed")
        assert (told["path"], told["sha256"]) == (target, B)

    async def test_renames_that_follow_one_another_are_followed_in_their_order(self, bench: Bench) -> None:
        await bench.hashed("a.pt", A, b"a")
        await bench.hashed("b.pt", B, b"bb")
        moves = [("a.pt", "swap.pt"), ("b.pt", "a.pt"), ("swap.pt", "b.pt"), ("b.pt", "loras/c.pt"), ("a.pt", "d.pt")]
        for old, new in moves:
            bench.rename(old, new)
        await bench.apply(*(FileMoved(bench.at(old), bench.at(new)) for old, new in moves))
        assert await bench.paths(A) == {bench.at("loras/c.pt"): PRESENT}
        assert await bench.paths(B) == {bench.at("d.pt"): PRESENT}
        assert await bench.queued() == {}
        told = [(told["old_path"], told["path"]) for told in bench.events("file.moved")]
        assert told == [(bench.at(old), bench.at(new)) for old, new in moves]

    async def test_many_renames_are_written_together(self, bench: Bench) -> None:
        names = [f"{number}.pt" for number in range(60)]
        for name in names:
            await bench.hashed(name, f"{names.index(name):064x}", name.encode())
            bench.rename(name, f"loras/{name}")
        before = bench.writes()
        await bench.apply(*(FileMoved(bench.at(name), bench.at(f"loras/{name}")) for name in names))
        assert bench.writes() - before < 10
        assert {place.path for place in await bench.locations()} == {bench.at(f"loras/{name}") for name in names}


class TestTwins:
    @pytest.mark.parametrize("link", [os.link, os.symlink])
    async def test_a_link_to_known_content_is_another_path_of_it(self, bench: Bench, link: object) -> None:
        path = await bench.hashed("a.pt", A)
        assert callable(link)
        link(path, bench.at("b.pt"))
        await bench.apply(FileAppeared(bench.at("b.pt")))
        assert await bench.paths(A) == {path: PRESENT, bench.at("b.pt"): PRESENT}
        assert (await bench.queued(), bench.line.taken_up) == ({}, [])

    @pytest.mark.parametrize("together", [True, False], ids=["one burst", "two bursts"])
    @pytest.mark.parametrize("end", ["removed", "replaced by a known file", "replaced by an unknown file"])
    async def test_a_file_that_was_written_by_a_name_that_is_gone_since_is_doubted_by_its_other_names(
        self, bench: Bench, end: str, together: bool
    ) -> None:
        path, link, other = await bench.hashed("a.pt", A, b"content"), bench.at("b.pt"), bench.at("c.pt")
        if end == "replaced by a known file":
            await bench.hashed("c.pt", B, b"another")
        elif end == "replaced by an unknown file":
            bench.put("c.pt", b"another")
        os.link(path, link)
        await bench.apply(FileAppeared(link))
        write_and_date_back(bench.root / "b.pt", b"CONTENT")
        events: list[WatchEvent] = [FileClosed(link)]
        if end == "removed":
            bench.remove("b.pt")
            events.append(FileGone(link))
        else:
            bench.rename("c.pt", "b.pt")
            events.append(FileMoved(other, link))
        for burst in [events] if together else [[event] for event in events]:
            await bench.apply(*burst)
        place = await location_at(bench.catalogue, path)
        assert place is not None
        assert place.doubted

    async def test_a_write_that_is_told_when_the_file_was_found_in_another_folder_already_is_doubted(
        self, bench: Bench
    ) -> None:
        old, new = await bench.hashed("g/c.pt", A, b"content"), bench.at("f/c.pt")
        bench.put("f/a.pt", b"another")
        write_and_date_back(bench.root / "g/c.pt", b"CONTENT")
        exchange(bench.root / "g", bench.root / "f")
        bench.put("f/b.pt", b"one more")  # so a name in that folder may be why it has new times
        await bench.apply(FolderAppeared(bench.at("f")))
        assert await bench.paths(A) == {new: PRESENT}
        await bench.apply(FileClosed(old), FolderExchanged(bench.at("g"), bench.at("f")))
        place = await location_at(bench.catalogue, new)
        assert place is not None
        assert place.doubted

    async def test_a_file_that_was_moved_while_nobody_looked_keeps_its_content(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", "loras/b.pt")
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert await bench.paths(A) == {bench.at("loras/b.pt"): PRESENT}
        assert [fields["old_path"] for fields in bench.events("file.moved")] == [old]
        assert bench.events("file.missing") == []
        assert bench.line.taken_up == []

    async def test_a_file_whose_place_was_taken_by_another_keeps_its_content(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", "b.pt")
        bench.put("a.pt", b"other content")
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert await bench.paths(A) == {bench.at("b.pt"): PRESENT}
        assert [path for path, _, _ in bench.line.taken_up] == [old]

    async def test_a_file_that_waits_in_the_place_of_a_moved_one_stays_in_the_queue(self, bench: Bench) -> None:
        old = await bench.hashed("a.pt", A)
        bench.rename("a.pt", "b.pt")
        bench.put("a.pt", b"another")
        await bench.apply(FileClosed(old))
        await bench.apply(FileAppeared(bench.at("b.pt")))
        assert await bench.paths(A) == {bench.at("b.pt"): PRESENT}
        assert await bench.queued() == {old: PendingState.WAITING}
        assert bench.line.moved == []

    async def test_two_files_that_swapped_their_names_keep_their_contents(self, bench: Bench) -> None:
        a, b = await bench.hashed("a.pt", A), await bench.hashed("b.pt", B, b"other")
        bench.rename("a.pt", "c")
        bench.rename("b.pt", "a.pt")
        bench.rename("c", "b.pt")
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        for path, sha256 in ((a, B), (b, A)):
            place = await location_at(bench.catalogue, path)
            assert place is not None
            is_read_again = path in [taken for taken, _, _ in bench.line.taken_up]
            assert place.sha256 == sha256 or is_read_again


class TestFolders:
    async def test_a_folder_that_appears_is_looked_through(self, bench: Bench) -> None:
        path = bench.put("new/deep/a.pt")
        await bench.apply(FolderAppeared(bench.at("new")))
        assert [taken for taken, _, _ in bench.line.taken_up] == [path]

    async def test_many_new_folders_are_taken_in_at_once_with_the_files_that_events_tell_of(
        self, bench: Bench
    ) -> None:
        await bench.hashed("known.pt", A)
        paths = [bench.put(f"{number}/deep/a.pt") for number in range(50)]
        told = bench.put("b.pt")
        before = bench.writes()
        folders = [path.removesuffix("/a.pt") for path in paths]
        parents = [path.removesuffix("/deep/a.pt") for path in paths]
        await bench.apply(*map(FolderAppeared, parents), FileClosed(told), *map(FolderAppeared, folders))
        assert bench.writes() - before == 2
        assert await bench.queued() == dict.fromkeys([*paths, told], PendingState.WAITING)
        assert sorted(bench.line.taken_up) == sorted(
            [(path, Priority.NEW, False) for path in paths] + [(told, Priority.NEW, True)]
        )

    @pytest.mark.parametrize("folder", [".cache", ".cache/huggingface/download", "loras/.git"])
    async def test_a_hidden_folder_that_appears_is_not_looked_through(self, bench: Bench, folder: str) -> None:
        bench.put(f"{folder}/a.pt")
        await bench.apply(FolderAppeared(bench.at(folder)))
        assert (await bench.queued(), bench.line.taken_up) == ({}, [])

    async def test_a_folder_that_is_renamed_takes_everything_along(self, bench: Bench) -> None:
        await bench.hashed("loras/a.pt", A)
        bench.rename("loras", "lora")
        await bench.apply(FolderMoved(bench.at("loras"), bench.at("lora")))
        assert await bench.paths(A) == {bench.at("lora/a.pt"): PRESENT}
        assert bench.line.taken_up == []
        assert len(bench.events("file.moved")) == 1

    async def test_a_folder_that_is_moved_into_the_trash_is_missing(self, bench: Bench) -> None:
        await bench.hashed("loras/a.pt", A)
        bench.rename("loras", ".Trash-1000/files/loras")
        await bench.apply(FolderMoved(bench.at("loras"), bench.at(".Trash-1000/files/loras")))
        assert MISSING in (await bench.paths(A)).values()
        assert PRESENT not in (await bench.paths(A)).values()

    async def test_what_is_missing_in_a_renamed_folder_is_not_told_as_moved_and_missing_again(
        self, bench: Bench
    ) -> None:
        await bench.hashed("loras/here.pt", A)
        gone = await bench.hashed("loras/gone.pt", B, b"other")
        bench.remove("loras/gone.pt")
        await bench.apply(FileGone(gone))
        bench.journal.clear()
        bench.rename("loras", "lora")
        await bench.apply(FolderMoved(bench.at("loras"), bench.at("lora")))
        assert MISSING in (await bench.paths(B)).values()
        assert bench.events("file.missing") == []

    async def test_a_folder_that_is_gone_takes_everything_along(self, bench: Bench) -> None:
        path = await bench.hashed("loras/a.pt", A)
        bench.put("loras/b.pt")
        await bench.described("loras/b.pt")
        bench.remove("loras")
        await bench.apply(FolderGone(bench.at("loras")))
        assert await bench.paths(A) == {path: MISSING}
        assert await bench.queued() == {bench.at("loras/b.pt"): PendingState.MISSING}

    async def test_a_folder_that_was_made_again_is_not_gone(self, bench: Bench) -> None:
        path = await bench.hashed("loras/a.pt", A)
        await bench.apply(FolderGone(bench.at("loras")))
        assert await bench.paths(A) == {path: PRESENT}

    async def test_lost_events_have_the_root_looked_through(self, bench: Bench) -> None:
        await bench.apply(EventsLost(str(bench.root)))
        assert bench.line.lost == [str(bench.root)]


class TestRootsThatAreAwayForAMoment:
    async def test_what_is_looked_at_meanwhile_is_neither_missing_nor_forgotten(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def comes_back(root: Root) -> bool:
            asked.append(root.path)
            if away.exists():
                away.rename(bench.root)
            return True

        path = await bench.hashed("a.pt", A)
        new = bench.put("loras/new.pt")
        away = bench.root.with_name("away")
        monkeypatch.setattr(bench.roots, "is_same", comes_back)
        for events in ([FileAppeared(new)], [FolderAppeared(bench.at("loras"))], [FileGone(path)]):
            bench.root.rename(away)
            await bench.apply(*events)
        assert asked
        assert await bench.queued() == {new: PendingState.WAITING}
        assert await bench.paths(A) == {path: PRESENT}


class TestScans:
    @pytest.fixture(autouse=True, params=[1, scans.PORTION])
    def _portions(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scans, "PORTION", request.param)

    async def test_what_was_moved_between_folders_is_followed_in_whatever_order_they_are_looked_at(
        self, bench: Bench
    ) -> None:
        await bench.hashed("a/1.pt", "1" * 64, b"1")
        await bench.hashed("m/2.pt", "2" * 64, b"2")
        await bench.hashed("z/3.pt", "3" * 64, b"3")
        gone = await bench.hashed("b/4.pt", "4" * 64, b"4")
        for old, new in (("a/1.pt", "z/1.pt"), ("m/2.pt", "a/2.pt"), ("z/3.pt", "m/3.pt")):
            bench.rename(old, new)
        bench.remove("b/4.pt")
        _, found = await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert (found.appeared, bench.line.taken_up) == (3, [])
        for number, path in enumerate(("z/1.pt", "a/2.pt", "m/3.pt"), 1):
            assert await bench.paths(str(number) * 64) == {bench.at(path): PRESENT}
        assert await bench.paths("4" * 64) == {gone: MISSING}
        assert [fields["path"] for fields in bench.events("file.missing")] == [gone]

    async def test_everything_that_happened_while_nobody_looked_is_found(self, bench: Bench) -> None:
        await bench.hashed("same.pt", "1" * 64, b"1")
        changed = await bench.hashed("changed.pt", "2" * 64, b"2")
        gone = await bench.hashed("gone.pt", "3" * 64, b"3")
        bench.put("changed.pt", b"changed")
        bench.remove("gone.pt")
        new = bench.put("new.pt", b"new")
        listing, found = await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert len(listing.files) == 3
        assert (found.appeared, found.changed, found.missing) == (1, 1, [gone])
        assert sorted(path for path, _, _ in bench.line.taken_up) == sorted([changed, new])
        assert {closed for _, _, closed in bench.line.taken_up} == {False}
        assert await bench.paths("3" * 64) == {gone: MISSING}

    async def test_a_scan_that_finds_nothing_new_changes_nothing(self, bench: Bench) -> None:
        await bench.hashed("a.pt", A)
        for _ in range(2):
            await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert (bench.journal, bench.line.taken_up) == ([], [])

    async def test_a_row_that_waits_as_missing_hears_of_its_file(self, bench: Bench) -> None:
        path = await bench.described("a.pt")
        assert await bench.queued() == {path: PendingState.MISSING}
        bench.put("a.pt")
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert await bench.queued() == {path: PendingState.WAITING}
        assert [taken for taken, _, _ in bench.line.taken_up] == [path]

    @pytest.mark.usefixtures("walks_without_rights")
    async def test_what_lies_in_a_folder_that_cannot_be_read_is_not_missing(
        self, bench: Bench, open_folder: Path
    ) -> None:
        bench.root = open_folder
        path = await bench.hashed("closed/a.pt", A)
        (open_folder / "closed").chmod(0)
        listing, found = await bench.intake.scans.scan(str(open_folder), Priority.SWEEP)
        (open_folder / "closed").chmod(0o755)
        assert [folder for folder, _ in listing.unreadable] == [str(open_folder / "closed")]
        assert found.missing == []
        assert await bench.paths(A) == {path: PRESENT}

    async def test_another_device_number_after_a_restart_is_no_return(self, bench: Bench) -> None:
        """Network and btrfs file systems get one with every mount: ten thousand files would be told as returned."""
        path = await bench.hashed("a.pt", A)
        fingerprint = fingerprint_of(path)
        assert fingerprint is not None
        await bench.catalogue.see_again({path: fingerprint._replace(device=4711)}, NOW)
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        place = await location_at(bench.catalogue, path)
        assert place is not None
        assert place.fingerprint == fingerprint
        assert (bench.events("file.returned"), bench.line.taken_up) == ([], [])

    async def test_a_file_that_is_dated_in_the_far_future_is_queued_like_any_other(self, bench: Bench) -> None:
        path = bench.put("a.pt")
        os.utime(path, ns=(0, 10_000_000_000 * 10**9))
        other = bench.put("b.pt", b"other")
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert sorted(await bench.queued()) == [path, other]

    async def test_thousands_of_files_are_taken_in_at_once(self, bench: Bench) -> None:
        for number in range(2_500):
            bench.put(f"{number % 10}/{number}.pt", str(number).encode())
        began = time.process_time()
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert time.process_time() - began < 10
        assert len(await bench.queued()) == len(bench.line.taken_up) == 2_500


class TestExchangedFolders:
    @pytest.mark.parametrize("kind", [FolderExchanged, FolderMoved])
    async def test_what_is_known_below_them_goes_along_though_the_halves_come_apart(
        self, bench: Bench, kind: type[FolderExchanged] | type[FolderMoved]
    ) -> None:
        await bench.hashed("one/x.pt", A, b"one")
        await bench.hashed("other/x.pt", B, b"other")
        one, other = bench.at("one"), bench.at("other")
        exchange(Path(one), Path(other))
        for half in (kind(one, other), kind(other, one)):
            await bench.apply(FolderGone(half.old), half)
            assert await bench.paths(A) == {bench.at("other/x.pt"): PRESENT}
            assert await bench.paths(B) == {bench.at("one/x.pt"): PRESENT}
        assert not bench.line.taken_up


class TestExchangedFiles:
    async def described(self, bench: Bench, name: str) -> PendingImport:
        path = bench.put(name, name.encode())
        row = LegacyRow(key=path, digest="d", path=path, original_path=path, name=f"Called {name}")
        staged = StagedRow(row, on_disk=fingerprint_of(path))
        await bench.catalogue.import_rows("hikaze-v1", "source", [staged], NOW, lambda _: None)
        pending = await bench.catalogue.pending_by_path(path)
        assert pending is not None
        return pending

    @pytest.mark.parametrize("together", [True, False])
    async def test_what_is_said_of_two_files_goes_with_them(self, bench: Bench, together: bool) -> None:
        one, other = [await self.described(bench, name) for name in ("one.pt", "other.pt")]
        exchange(Path(one.path), Path(other.path))
        halves = [FileMoved(one.path, other.path), FileMoved(other.path, one.path)]
        if together:
            await bench.apply(*halves)
        else:  # the second half came after the first had been taken in
            for half in halves:
                await bench.apply(half)
        assert {row.path: row.name for row in await bench.catalogue.pending_imports()} == {
            one.path: "Called other.pt",
            other.path: "Called one.pt",
        }

    @pytest.mark.parametrize("together", [True, False])
    async def test_known_files_keep_what_is_known_of_them(self, bench: Bench, together: bool) -> None:
        one, other = await bench.hashed("one.pt", A, b"one"), await bench.hashed("other.pt", B, b"other")
        exchange(Path(one), Path(other))
        halves = [FileMoved(one, other), FileMoved(other, one)]
        for events in [halves] if together else [halves[:1], halves[1:]]:
            await bench.apply(*events)
            assert (await bench.paths(A), await bench.paths(B)) == ({other: PRESENT}, {one: PRESENT})
        # What the kernel tells afterwards of a writer who had closed one before is no longer explained by its name.
        await bench.apply(FileClosed(other))
        assert {place.path for place in await bench.locations() if place.doubted} == {other}
        assert not bench.line.taken_up

    async def test_known_files_that_went_round_are_known_wherever_one_looks_first(self, bench: Bench) -> None:
        names = ("one.pt", "other.pt", "third.pt")
        one, other, third = [
            await bench.hashed(name, sha256 * 64, name.encode()) for name, sha256 in zip(names, "abc", strict=True)
        ]
        bench.rename("one.pt", "between.bin")
        bench.rename("third.pt", "one.pt")
        bench.rename("other.pt", "third.pt")
        bench.rename("between.bin", "other.pt")
        await bench.apply(FileAppeared(one))
        places = {place.path: place.sha256[0] for place in await bench.locations() if place.state is PRESENT}
        assert places == {one: "c", other: "a", third: "b"}
        assert not bench.line.taken_up

    async def test_a_file_that_is_renamed_to_and_fro_keeps_what_is_said_of_it(self, bench: Bench) -> None:
        row = await self.described(bench, "one.pt")
        await bench.apply(FileMoved(row.path, bench.at("other.pt")), FileMoved(bench.at("other.pt"), row.path))
        assert [row.path for row in await bench.catalogue.pending_imports()] == [row.path]


@pytest.mark.parametrize("way", ["doubt", "see_again"])
async def test_a_file_that_is_migrated_while_another_one_is_seen_at_its_path_is_looked_at_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    await bench.hashed("b.pt", B, b"another")
    path = await bench.hashed("a.pt", A)
    known = fingerprint_of(path)
    assert known is not None
    if way == "doubt":  # it was dated back
        os.utime(path, ns=(known.mtime_ns, known.mtime_ns))
    else:  # it was away, and is back
        await bench.catalogue.set_missing([path], "", NOW)
    before = known._replace(inode=known.inode + 1)
    write = getattr(bench.catalogue, way)

    async def migrate_and_write(*arguments: Any) -> Any:
        monkeypatch.setattr(bench.catalogue, way, write)
        await bench.catalogue.put_locations([Location(path, B, PRESENT, before)], NOW)
        return await write(*arguments)

    monkeypatch.setattr(bench.catalogue, way, migrate_and_write)
    await bench.apply(FileAppeared(path))
    place = (await bench.catalogue.locations_at([path]))[path]
    assert (place.sha256, place.fingerprint, place.doubted) == (B, before, False)
    assert await bench.queued() == {path: PendingState.WAITING}
    assert bench.line.taken_up == [(path, Priority.NEW, False)]
    assert not bench.events("file.returned")


@pytest.mark.parametrize("told", ["seen", "linked", "renamed"])
async def test_what_a_file_was_read_to_hold_at_its_new_path_stays_whatever_was_known_of_it_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    old, new = await bench.hashed("a.pt", A), bench.at("b.pt")
    if told == "linked":
        os.link(old, new)
    else:
        bench.rename("a.pt", "b.pt")
    status = fingerprint_of(new)
    assert status is not None
    way = "put_locations" if told == "linked" else "move_paths"
    write = getattr(bench.catalogue, way)

    async def migrate_and_write(*arguments: Any) -> Any:
        monkeypatch.setattr(bench.catalogue, way, write)
        await put_into_catalogue(bench.catalogue, new, B, status)
        return await write(*arguments)

    monkeypatch.setattr(bench.catalogue, way, migrate_and_write)
    await bench.apply(FileMoved(old, new) if told == "renamed" else FileAppeared(new))
    place = await location_at(bench.catalogue, new)
    assert place is not None
    assert (place.sha256, place.state, place.is_read) == (B, PRESENT, True)
    before = await location_at(bench.catalogue, old)
    assert before is not None
    assert (before.sha256, before.state) == (A, PRESENT if told == "linked" else MISSING)
    assert not bench.line.moved
    assert not bench.events("file.moved")


async def test_what_differs_is_asked_for_again_only_when_files_or_catalogue_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Span] = []
    compare_within = bench.catalogue.compare_within

    async def note(span: Span, entries: Set[Entry]) -> Compared:
        asked.append(span)
        return await compare_within(span, entries)

    async def scan() -> int:
        asked.clear()
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        return len(asked)

    monkeypatch.setattr(bench.catalogue, "compare_within", note)
    path = await bench.hashed("a.pt", A)
    assert [await scan(), await scan()] == [1, 0]
    await bench.catalogue.set_missing([path], "", NOW)
    assert [await scan(), (await bench.paths(A))[path]] == [1, LocationState.PRESENT]
    await scan()
    assert await scan() == 0
    bench.put("b.pt", b"another")
    assert [await scan(), sorted(await bench.queued())] == [1, [bench.at("b.pt")]]
