"""Renames: what is known goes along with the file, and nothing else does."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import location_at

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.detection import Moved, Rename
from modelkeep.domain.values import Location, LocationState, PendingState

from .conftest import (
    NOT_UTF8,
    NOW,
    A,
    B,
    C,
    dump,
    hashed,
    legacy,
    paths_of,
    print_of,
    queue,
    take,
    the_model,
    the_row,
)

PRESENT, MISSING = LocationState.PRESENT, LocationState.MISSING
ODD_FOLDERS = ["/m/a_b", "/m/a%b", "/m/水彩 スタイル", "/m/caf\udce9", "/m/\U0001f600", "/m/it's", "/m/a*[b]?"]


async def link(catalogue: Catalogue, path: str, sha256: str, number: int = 500) -> None:
    await catalogue.put_locations([Location(path, sha256, PRESENT, print_of(number))], NOW)


async def move(catalogue: Catalogue, old: str, new: str, now_ms: int = NOW) -> Moved:
    (moved,) = await catalogue.move_paths([Rename(old, new)], now_ms)
    return moved


class TestAFile:
    async def test_its_location_and_main_path_go_along(self, catalogue: Catalogue) -> None:
        before = await hashed(catalogue, "/m/a.pt", A)
        assert await move(catalogue, "/m/a.pt", "/m/b.pt", NOW + 9) == Moved("/m/a.pt", "/m/b.pt", A)
        assert await location_at(catalogue, "/m/a.pt") is None
        after = await location_at(catalogue, "/m/b.pt")
        assert after == Location("/m/b.pt", A, PRESENT, before.fingerprint, False, before.first_seen, NOW + 9)
        assert (await the_model(catalogue, A)).path == "/m/b.pt"

    async def test_its_waiting_row_goes_along_with_all_that_it_knows(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine", tags=["x"], meta={"description": "mine"}))
        row = await the_row(catalogue, "/m/a.pt")
        assert await move(catalogue, "/m/a.pt", "/m/b.pt") == Moved("/m/a.pt", "/m/b.pt", "", row.id)
        assert await the_row(catalogue, "/m/b.pt") == row.evolve(path="/m/b.pt")
        assert await catalogue.pending_by_path("/m/a.pt") is None

    async def test_an_unknown_file_changes_nothing(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, "/m/other.pt", A)
        before = dump(file)
        assert await move(catalogue, "/m/a.pt", "/m/b.pt", NOW) == Moved("/m/a.pt", "/m/b.pt")
        assert dump(file) == before

    async def test_a_missing_file_that_moved_is_there(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await catalogue.set_missing(["/m/a.pt"], "gone", NOW)
        await move(catalogue, "/m/a.pt", "/m/b.pt")
        assert await paths_of(catalogue, A) == {"/m/b.pt": PRESENT}

    async def test_another_file_than_was_looked_at_keeps_what_it_is_known_by(self, catalogue: Catalogue) -> None:
        """As when it was migrated between the look and the transaction."""
        before = await hashed(catalogue, "/m/a.pt", A)
        rename = Rename("/m/a.pt", "/m/b.pt", A, seen=print_of(7), known=print_of(7))
        assert await catalogue.move_paths([rename], NOW) == [Moved("/m/a.pt", "/m/b.pt")]
        assert await location_at(catalogue, "/m/a.pt") == before
        (moved,) = await catalogue.move_paths([replace(rename, expected_sha256=None)], NOW)
        assert moved.sha256 == A
        after = await location_at(catalogue, "/m/b.pt")
        assert after is not None
        assert after.fingerprint == before.fingerprint

    async def test_a_move_onto_itself_changes_nothing(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await move(catalogue, "/m/a.pt", "/m/a.pt")
        assert await paths_of(catalogue, A) == {"/m/a.pt": PRESENT}

    @pytest.mark.parametrize("folder", ODD_FOLDERS)
    async def test_any_name_will_do(self, catalogue: Catalogue, folder: str) -> None:
        await hashed(catalogue, f"{folder}/a.pt", A)
        (row,) = await queue(catalogue, f"{folder}/b.pt")
        assert (await move(catalogue, f"{folder}/a.pt", NOT_UTF8)).sha256 == A
        assert (await move(catalogue, f"{folder}/b.pt", f"{folder}\udcff/b.pt")).pending_id == row.id
        assert await paths_of(catalogue, A) == {NOT_UTF8: PRESENT}
        assert (await catalogue.pending(row.id) or row).path == f"{folder}\udcff/b.pt"


class TestAFileOntoAnother:
    async def test_the_content_that_lay_there_loses_its_path(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await hashed(catalogue, "/m/b.pt", B)
        await link(catalogue, "/m/b-copy.pt", B)
        assert await move(catalogue, "/m/a.pt", "/m/b.pt") == Moved("/m/a.pt", "/m/b.pt", A, 0, B)
        assert await paths_of(catalogue, A) == {"/m/b.pt": PRESENT}
        assert (await the_model(catalogue, B)).path == "/m/b-copy.pt"

    async def test_a_copy_of_the_same_content_is_no_loss(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await link(catalogue, "/m/b.pt", A)
        moved = await move(catalogue, "/m/a.pt", "/m/b.pt")
        assert moved == Moved("/m/a.pt", "/m/b.pt", A)
        assert await paths_of(catalogue, A) == {"/m/b.pt": PRESENT}
        assert (await the_model(catalogue, A)).path == "/m/b.pt"

    async def test_a_stranger_in_the_queue_gives_way(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine"))
        mine = await the_row(catalogue, "/m/a.pt")
        await queue(catalogue, "/m/b.pt")
        assert (await move(catalogue, "/m/a.pt", "/m/b.pt")).pending_id == mine.id
        assert [(row.id, row.path, row.name) for row in await catalogue.pending_imports()] == [
            (mine.id, "/m/b.pt", "Mine")
        ]

    async def test_of_two_descriptions_none_is_lost(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine", tags=["x"]), legacy("b", name="Theirs", tags=["y"]))
        await move(catalogue, "/m/a.pt", "/m/b.pt")
        rows = await catalogue.pending_imports()
        assert {(row.name, row.tags[0].name) for row in rows} == {("Mine", "x"), ("Theirs", "y")}

    async def test_a_waiting_file_over_a_known_one_leaves_its_location_until_it_is_hashed(
        self, catalogue: Catalogue
    ) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        await hashed(catalogue, "/m/b.pt", B)
        assert await move(catalogue, "/m/a.pt", "/m/b.pt") == Moved("/m/a.pt", "/m/b.pt", "", row.id)
        assert await paths_of(catalogue, B) == {"/m/b.pt": PRESENT}
        assert (await the_row(catalogue, "/m/b.pt")).id == row.id


class TestAFolder:
    async def test_everything_below_goes_along(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a/1.pt", A)
        await hashed(catalogue, "/m/a/deep/2.pt", B)
        (row,) = await queue(catalogue, "/m/a/3.pt")
        moves = await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert sorted(moves, key=lambda move: move.old) == [
            Moved("/m/a/1.pt", "/m/z/1.pt", A),
            Moved("/m/a/3.pt", "/m/z/3.pt", "", row.id),
            Moved("/m/a/deep/2.pt", "/m/z/deep/2.pt", B),
        ]
        assert await paths_of(catalogue, A) == {"/m/z/1.pt": PRESENT}
        assert (await the_model(catalogue, B)).path == "/m/z/deep/2.pt"
        assert (await the_row(catalogue, "/m/z/3.pt")).id == row.id

    async def test_what_only_looks_alike_stays(self, catalogue: Catalogue) -> None:
        stays = ["/m/ab/x.pt", "/m/a.pt", "/m/A/x.pt", "/m/b/m/a/x.pt", "/m/a0/x.pt", "/m/a./x.pt"]
        for number, path in enumerate(stays):
            await hashed(catalogue, path, f"{number:064x}")
        await queue(catalogue, "/m/ab/y.pt")
        await hashed(catalogue, "/m/a/x.pt", A)
        moves = await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert [move.old for move in moves] == ["/m/a/x.pt"]
        for number, path in enumerate(stays):
            assert await paths_of(catalogue, f"{number:064x}") == {path: PRESENT}
            assert (await the_model(catalogue, f"{number:064x}")).path == path

    @pytest.mark.parametrize("folder", ODD_FOLDERS)
    @pytest.mark.parametrize("new", ["/m/z", "/m/caf\udce9\udcff/深い/x"])
    async def test_any_name_will_do(self, catalogue: Catalogue, folder: str, new: str) -> None:
        await hashed(catalogue, f"{folder}/caf\udce9 ü.pt", A)
        (row,) = await queue(catalogue, f"{folder}/b/模型.pt")
        await hashed(catalogue, "/m/axb/c.pt", B)
        moves = await catalogue.move_folder(folder, new, NOW)
        assert {move.new for move in moves} == {f"{new}/caf\udce9 ü.pt", f"{new}/b/模型.pt"}
        assert await paths_of(catalogue, A) == {f"{new}/caf\udce9 ü.pt": PRESENT}
        assert (await the_model(catalogue, A)).path == f"{new}/caf\udce9 ü.pt"
        assert (await the_row(catalogue, f"{new}/b/模型.pt")).id == row.id
        assert await paths_of(catalogue, B) == {"/m/axb/c.pt": PRESENT}

    async def test_a_model_that_is_known_elsewhere_as_well_keeps_its_main_path(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/main.pt", A)
        await link(catalogue, "/m/a/copy.pt", A)
        await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert (await the_model(catalogue, A)).path == "/m/main.pt"
        assert set(await paths_of(catalogue, A)) == {"/m/main.pt", "/m/z/copy.pt"}

    async def test_a_file_that_was_missing_there_is_not_back_because_its_folder_was_renamed(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, "/m/a/here.pt", A)
        await hashed(catalogue, "/m/a/gone.pt", B)
        await catalogue.set_missing(["/m/a/gone.pt"], "gone", NOW)
        await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert await paths_of(catalogue, A) == {"/m/z/here.pt": PRESENT}
        assert await paths_of(catalogue, B) == {"/m/z/gone.pt": MISSING}

    async def test_nothing_known_below_changes_nothing(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, "/m/other.pt", A)
        before = dump(file)
        assert await catalogue.move_folder("/m/a", "/m/z", NOW) == []
        assert dump(file) == before

    async def test_thousands_go_along(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a/0.pt", A)
        places = [Location(f"/m/a/{number}.pt", A, PRESENT, print_of(number)) for number in range(1, 2_000)]
        await catalogue.put_locations(places, NOW)
        assert len(await catalogue.move_folder("/m/a", "/m/z", NOW)) == 2_000
        known, _ = await catalogue.known_below("/m/z")
        assert len(known) == 2_000


class TestAFolderOntoKnownPaths:
    async def test_what_lay_there_gives_way_and_nothing_is_lost(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a/1.pt", A)
        await hashed(catalogue, "/m/z/1.pt", B)
        await hashed(catalogue, "/m/z/2.pt", C)
        await catalogue.set_missing(["/m/z/1.pt"], "gone", NOW)
        moves = await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert moves == [Moved("/m/a/1.pt", "/m/z/1.pt", A, 0, B)]
        assert await paths_of(catalogue, A) == {"/m/z/1.pt": PRESENT}
        assert await paths_of(catalogue, B) == {}
        assert (await the_model(catalogue, B)).sha256 == B
        assert await paths_of(catalogue, C) == {"/m/z/2.pt": PRESENT}

    async def test_descriptions_that_meet_are_both_kept(self, catalogue: Catalogue) -> None:
        a, z = legacy("1", "/m/a/1.pt", name="Mine"), legacy("2", "/m/z/1.pt", name="Theirs")
        await take(catalogue, a, z)
        await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert {row.name for row in await catalogue.pending_imports()} == {"Mine", "Theirs"}

    async def test_a_row_whose_target_waits_is_told_as_not_moved(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("1", "/m/a/1.pt", name="Mine"), legacy("2", "/m/z/1.pt", name="Theirs"))
        (moved,) = await catalogue.move_folder("/m/a", "/m/z", NOW)
        assert moved.pending_id == 0
        assert (await the_row(catalogue, "/m/a/1.pt")).state is PendingState.MISSING


class TestTwoFolders:
    async def test_that_change_places_keep_what_is_known_of_each_file_with_the_file(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, "/m/a/1.pt", A)
        await hashed(catalogue, "/m/b/1.pt", B)
        await hashed(catalogue, "/m/ab/1.pt", C)
        await take(catalogue, legacy("a/2", name="of a"), legacy("b/2", name="of b"))
        rows = {name: await the_row(catalogue, f"/m/{name}/2.pt") for name in "ab"}
        moves = await catalogue.exchange_folders("/m/a", "/m/b", NOW)
        assert sorted(moves, key=lambda move: move.old) == [
            Moved("/m/a/1.pt", "/m/b/1.pt", A),
            Moved("/m/a/2.pt", "/m/b/2.pt", "", rows["a"].id),
            Moved("/m/b/1.pt", "/m/a/1.pt", B),
            Moved("/m/b/2.pt", "/m/a/2.pt", "", rows["b"].id),
        ]
        for sha256, path in ((A, "/m/b/1.pt"), (B, "/m/a/1.pt"), (C, "/m/ab/1.pt")):
            assert await paths_of(catalogue, sha256) == {path: PRESENT}
            assert (await the_model(catalogue, sha256)).path == path
        assert (await the_row(catalogue, "/m/a/2.pt")).name == "of b"
        assert (await the_row(catalogue, "/m/b/2.pt")).name == "of a"
