"""What is seen is held against what is known, and written: what others do in between is neither lost nor undone."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.exchanges import exchange
from tests.libraries import write_and_date_back
from tests.unit.watch.test_intake import MISSING, NOW, PRESENT, A, B, Bench

from modelkeep.disk.files import fingerprint_of
from modelkeep.domain.events import (
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderExchanged,
    FolderMoved,
    WatchEvent,
)
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, PendingState, Priority
from modelkeep.watch.context import Context


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.catalogue.close()


def seen(path: str) -> Fingerprint:
    status = fingerprint_of(path)
    assert status is not None
    return status


def first(monkeypatch: pytest.MonkeyPatch, owner: object, method: str, act: Callable[[], Awaitable[object]]) -> None:
    """Have something done right before a method is called for the first time."""
    real = getattr(owner, method)

    async def act_and_call(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(owner, method, real)
        await act()
        return await real(*arguments, **options)

    monkeypatch.setattr(owner, method, act_and_call)


async def known(bench: Bench) -> dict[str, tuple[str, bool]]:
    """Return the hash that is believed of each present path, and whether that is doubted."""
    return {place.path: (place.sha256, place.doubted) for place in await bench.locations() if place.state is PRESENT}


async def migrate(bench: Bench, path: str, sha256: str) -> None:
    """Commit that a file was read, as the stages do beside all that is taken in."""
    await bench.catalogue.put_locations([Location(path, sha256, PRESENT, seen(path))], NOW)


class TestExchangedFiles:
    async def test_a_file_that_was_migrated_while_one_looked_keeps_its_own_times(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = await bench.hashed("one.pt", A, b"1"), await bench.hashed("other.pt", B, b"2")
        exchange(Path(one), Path(other))
        first(monkeypatch, bench.catalogue, "move_paths", lambda: migrate(bench, one, B))
        await bench.apply(FileMoved(one, other), FileMoved(other, one))
        believed = {
            place.path: place.sha256 for place in await bench.locations() if place.fingerprint == seen(place.path)
        }
        assert believed.items() <= {one: B, other: A}.items()
        assert set(await bench.queued()) == {one, other} - believed.keys()

    async def test_files_of_which_others_are_known_are_looked_at(self, bench: Bench) -> None:
        one, other = await bench.hashed("one.pt", A, b"1"), await bench.hashed("other.pt", B, b"2")
        for path in (one, other):  # nothing was told of this yet
            bench.remove(Path(path).name)
            bench.put(Path(path).name, b"not known")
        exchange(Path(one), Path(other))
        await bench.apply(FileMoved(one, other), FileMoved(other, one))
        assert sorted(await bench.queued()) == [one, other]
        for place in await bench.locations():
            assert place.state is MISSING or place.fingerprint != seen(place.path)


class TestRenames:
    async def test_another_file_of_the_same_content_stays_where_it_was_migrated_to(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = await bench.hashed("old.pt", A, b"1")
        new = bench.at("new.pt")
        bench.rename("old.pt", "new.pt")
        bench.put("old.pt", b"1")
        first(monkeypatch, bench.catalogue, "move_paths", lambda: migrate(bench, old, A))
        await bench.apply(FileMoved(old, new))
        places = {place.path: place.fingerprint for place in await bench.locations() if place.state is PRESENT}
        assert places[old] == seen(old)
        assert await bench.queued() == {new: PendingState.WAITING}

    async def test_what_is_migrated_to_a_path_that_was_left_is_missing_there(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file was renamed while it was migrated, and deleted before anybody looked."""
        await bench.hashed("other.pt", B, b"2")
        path = bench.put("a.pt")
        status = seen(path)
        bench.remove("a.pt")

        async def commit() -> None:
            await bench.catalogue.put_locations([Location(path, B, PRESENT, status)], NOW)

        first(monkeypatch, bench.catalogue, "move_paths", commit)
        await bench.apply(FileMoved(path, bench.at("b.pt")))
        await bench.apply(FileGone(bench.at("b.pt")))
        assert {place.path: place.state for place in await bench.locations()}[path] is MISSING

    @pytest.mark.parametrize("way", ["rename", "link", "seen"])
    async def test_a_row_that_misses_its_file_hears_of_a_known_one_that_comes_there(
        self, bench: Bench, way: str
    ) -> None:
        path = await bench.described("a.pt")
        await bench.apply(FileGone(path))
        assert await bench.queued() == {path: PendingState.MISSING}
        other = await bench.hashed("b.pt", A)
        if way == "link":
            os.link(other, path)
            await bench.apply(FileAppeared(path))
        else:
            bench.rename("b.pt", "a.pt")
            await bench.apply(FileMoved(other, path) if way == "rename" else FileAppeared(path))
        assert await bench.queued() == {path: PendingState.WAITING}
        assert [taken[0] for taken in bench.line.taken_up] == [path]


class TestWrittenFiles:
    """That a file was written is told by the name of that time alone; a new name explains its new times."""

    @pytest.fixture
    async def path(self, bench: Bench) -> str:
        path = await bench.hashed("f/a.pt", A, b"1")
        if seen(path).birth_ns is None:
            pytest.skip("this file system does not tell when a file was made")
        return path

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("way", ["rename", "replace", "exchange", "folder", "folders"])
    async def test_a_file_that_is_renamed_after_it_was_written_is_doubted(
        self, bench: Bench, path: str, way: str, together: bool
    ) -> None:
        other, new = bench.put("g/a.pt", b"3"), bench.at("new/a.pt")
        events: list[WatchEvent]
        write_and_date_back(Path(path), b"2")
        if way == "folders":
            exchange(Path(bench.at("f")), Path(bench.at("g")))
            new, events = other, [FolderExchanged(bench.at("f"), bench.at("g"))]
        elif way == "folder":
            bench.rename("f", "new")
            events = [FolderMoved(bench.at("f"), bench.at("new"))]
        elif way == "exchange":
            exchange(Path(path), Path(other))
            new, events = other, [FileMoved(path, other), FileMoved(other, path)]
        else:
            bench.rename("f/a.pt", "new/a.pt")
            events = [FileMoved(path, new)]
        if way == "replace":
            bench.put("f/a.pt", b"4")
        closed = FileClosed(path)
        if together:
            await bench.apply(closed, *events)
        else:
            await bench.apply(closed)
            await bench.apply(*events)
        assert {place: told for place, told in (await known(bench)).items() if told[0] == A} == {new: (A, True)}

    async def test_a_file_whose_folder_was_elsewhere_for_a_moment_is_doubted(self, bench: Bench, path: str) -> None:
        bench.put("g/b.pt")
        write_and_date_back(Path(path), b"2")
        there = FolderExchanged(bench.at("f"), bench.at("g"))
        # It is back before one looks, and that is told later.
        await bench.apply(FileClosed(path), there)
        await bench.apply(FolderExchanged(there.new, there.old))
        assert await known(bench) == {path: (A, True)}

    async def test_a_file_that_is_renamed_while_it_is_looked_at_is_doubted(
        self, bench: Bench, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = bench.at("f/new.pt")
        write_and_date_back(Path(path), b"2")

        async def rename() -> None:
            bench.rename("f/a.pt", "f/new.pt")
            bench.put("f/a.pt", b"3")

        first(monkeypatch, bench.intake.sightings, "review", rename)
        await bench.apply(FileClosed(path))
        await bench.apply(FileMoved(path, new))
        assert await known(bench) == {new: (A, True)}

    async def test_what_is_being_read_by_then_is_read_again(
        self, bench: Bench, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(bench.line, "looked_at", lambda paths: told.extend([*paths, "looked at"]))
        monkeypatch.setattr(bench.line, "renamed", lambda moved: told.append(moved.new))
        bench.rename("f/a.pt", "f/new.pt")
        await bench.apply(FileMoved(path, bench.at("f/new.pt")), FileClosed(path))
        assert told.index(path) < told.index(bench.at("f/new.pt"))


class TestScans:
    async def test_what_was_replaced_since_the_walk_is_no_link_to_what_lay_there(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known_path = await bench.hashed("a.pt", A)
        path = bench.at("b.pt")
        os.link(known_path, path)

        async def replaced() -> None:
            bench.remove("b.pt")
            bench.put("b.pt", b"other")

        first(monkeypatch, bench.catalogue, "twins_of", replaced)
        await bench.intake.scans.scan(str(bench.root), Priority.SWEEP)
        assert {place.path for place in await bench.locations()} == {known_path}
        assert await bench.queued() == {path: PendingState.WAITING}

    async def test_scans_and_events_are_taken_in_one_after_the_other(self, bench: Bench) -> None:
        bench.put("a.pt")
        context: Context = bench.intake.sightings._context
        taking_in: list[asyncio.Task[object]] = []
        async with context.turn:
            taking_in.append(asyncio.create_task(bench.intake.apply([FileAppeared(bench.at("a.pt"))])))
            taking_in.append(asyncio.create_task(bench.intake.scans.scan(str(bench.root), Priority.SWEEP)))
            taking_in.append(asyncio.create_task(bench.intake.scans.look_outside([])))
            done, _ = await asyncio.wait(taking_in, timeout=0.2)
            assert not done
            assert not bench.line.taken_up
        await asyncio.gather(*taking_in)
        assert await bench.queued() == {bench.at("a.pt"): PendingState.WAITING}


async def test_a_claimed_file_that_is_back_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("a.pt")
    path = await bench.described("a.pt", claim=A)
    await bench.apply(FileGone(path))
    await bench.catalogue.set_missing([path], "", NOW)
    told: list[str] = []
    monkeypatch.setattr(bench.line, "doubted", told.extend)
    await bench.apply(FileAppeared(path))
    assert told == [path]
    (place,) = await bench.locations()
    assert (place.claimed, place.state) == (True, PRESENT)


async def test_what_is_migrated_while_a_smaller_file_is_seen_there_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await bench.hashed("a.pt", A, b"12345")
    (before,) = await bench.locations()
    assert before.fingerprint is not None
    bench.put("a.pt", b"1")
    after = replace(before, sha256=B, fingerprint=before.fingerprint._replace(inode=1))
    await bench.hashed("b.pt", B, b"b")
    first(monkeypatch, bench.catalogue, "lose_content", lambda: bench.catalogue.put_locations([after], NOW))
    await bench.apply(FileAppeared(path))
    assert (await known(bench))[path] == (B, False)
    assert await bench.queued() == {path: PendingState.WAITING}
