"""A row whose file is gone, and files that may be it: offered to the owner, never guessed."""

from pathlib import Path

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.parking import Parked
from modelkeep.domain.values import Location, LocationState, PendingImport, PendingState
from modelkeep.errors import Conflict, NotFound

from .conftest import (
    NOT_UTF8,
    NOW,
    A,
    B,
    dump,
    hashed,
    legacy,
    paths_of,
    print_of,
    queue,
    take,
    the_row,
)


async def missing(catalogue: Catalogue, path: str = "/old/a.pt", size_bytes: int = 10) -> PendingImport:
    """Queue a described row whose file is not there."""
    await take(catalogue, legacy(path, path, digest="d", name="Mine", size_bytes=size_bytes, tags=["x"]), source=path)
    return await the_row(catalogue, path)


class TestOffering:
    async def test_a_file_of_the_same_name_and_size_is_offered_and_nothing_else_happens(
        self, catalogue: Catalogue
    ) -> None:
        row = await missing(catalogue)
        await hashed(catalogue, "/m/new/a.pt", A)
        ((offered, path),) = await catalogue.offer({"/m/new/a.pt": 10})
        assert (offered.id, path) == (row.id, "/m/new/a.pt")
        after = await the_row(catalogue, "/old/a.pt")
        assert after == row.evolve(last_error=after.last_error)
        assert "/m/new/a.pt" in after.last_error
        assert f"pending resolve {row.id} --at" in after.last_error
        details = await catalogue.pending_details(row.id)
        assert details is not None
        assert details.offers == ("/m/new/a.pt",)

    @pytest.mark.parametrize(("path", "size_bytes"), [("/m/b.pt", 10), ("/m/a.pt", 11), ("/m/A.pt", 10)])
    async def test_another_name_or_size_is_not_offered(
        self, catalogue: Catalogue, file: Path, path: str, size_bytes: int
    ) -> None:
        await missing(catalogue)
        await hashed(catalogue, path, A)
        before = dump(file)
        assert await catalogue.offer({path: size_bytes}) == []
        assert dump(file) == before

    async def test_a_row_that_waits_for_its_file_to_be_read_is_offered_nothing(self, catalogue: Catalogue) -> None:
        await queue(catalogue, "/old/a.pt")
        await hashed(catalogue, "/m/a.pt", A)
        assert await catalogue.offer({"/m/a.pt": 10}) == []

    async def test_a_row_of_unknown_size_is_offered_nothing(self, catalogue: Catalogue) -> None:
        await missing(catalogue, size_bytes=0)
        await hashed(catalogue, "/m/a.pt", A)
        assert await catalogue.offer({"/m/a.pt": 0}) == []

    async def test_no_files_are_no_offers(self, catalogue: Catalogue) -> None:
        await missing(catalogue)
        assert await catalogue.offer({}) == []

    async def test_a_row_that_is_parked_as_missing_names_what_it_may_be(self, catalogue: Catalogue) -> None:
        row = await missing(catalogue)
        await hashed(catalogue, "/m/a.pt", A)
        parked = Parked(row.id, row.path, PendingState.MISSING, "there is no file at /old/a.pt", NOW, 1)
        (news,) = await catalogue.park([parked])
        assert "/m/a.pt" in news.last_error
        assert (await the_row(catalogue, "/old/a.pt")).last_error == news.last_error
        assert await catalogue.park([parked]) == []

    async def test_a_file_that_is_gone_itself_is_not_offered(self, catalogue: Catalogue) -> None:
        row = await missing(catalogue)
        await hashed(catalogue, "/m/a.pt", A)
        await catalogue.set_missing(["/m/a.pt"], "gone", NOW)
        parked = Parked(row.id, row.path, PendingState.MISSING, "there is no file", NOW, 1)
        (news,) = await catalogue.park([parked])
        assert news == parked

    async def test_names_of_whatever_bytes_are_offered(self, catalogue: Catalogue) -> None:
        name = NOT_UTF8.rsplit("/", 1)[-1]
        await missing(catalogue, f"/old/{name}")
        await hashed(catalogue, NOT_UTF8, A)
        ((_, path),) = await catalogue.offer({NOT_UTF8: 10})
        assert path == NOT_UTF8
        assert NOT_UTF8 in (await the_row(catalogue, f"/old/{name}")).last_error


class TestRelocating:
    async def test_the_row_waits_at_the_path_that_the_owner_named(self, catalogue: Catalogue) -> None:
        row = await missing(catalogue)
        await hashed(catalogue, "/m/a.pt", A)
        moved = await catalogue.relocate(row.id, "/m/a.pt", NOW + 5)
        after = await the_row(catalogue, "/m/a.pt")
        assert (after.id, after.state, after.due_at, after.last_error) == (row.id, PendingState.WAITING, NOW + 5, "")
        assert (after.name, [tag.name for tag in after.tags], after.meta) == ("Mine", ["x"], row.meta)
        assert moved == after

    async def test_a_stranger_in_the_queue_gives_way(self, catalogue: Catalogue) -> None:
        row = await missing(catalogue)
        await queue(catalogue, "/m/a.pt")
        await catalogue.relocate(row.id, "/m/a.pt", NOW)
        assert [each.id for each in await catalogue.pending_imports()] == [row.id]

    async def test_another_description_does_not_give_way(self, catalogue: Catalogue, file: Path) -> None:
        row, other = await missing(catalogue), await missing(catalogue, "/m/a.pt")
        before = dump(file)
        with pytest.raises(Conflict, match=f"row {other.id} "):
            await catalogue.relocate(row.id, "/m/a.pt", NOW)
        assert dump(file) == before

    async def test_to_its_own_path_is_fine(self, catalogue: Catalogue) -> None:
        row = await missing(catalogue)
        assert (await catalogue.relocate(row.id, row.path, NOW)).state is PendingState.WAITING

    async def test_a_row_that_is_not_there_is_an_error(self, catalogue: Catalogue) -> None:
        with pytest.raises(NotFound):
            await catalogue.relocate(4711, "/m/a.pt", NOW)


class TestContentsAtSeveralPaths:
    async def test_those_at_two_places_or_more_are_listed_with_all_of_them(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await hashed(catalogue, "/m/b.pt", B)
        copies = [Location(path, A, LocationState.PRESENT, print_of(77)) for path in ("/m/copy.pt", "/n/gone.pt")]
        await catalogue.put_locations(copies, NOW)
        await catalogue.set_missing(["/n/gone.pt"], "gone", NOW)
        ((model, places),) = await catalogue.contents_at_several_paths()
        assert model.sha256 == A
        assert {place.path: place.state for place in places} == await paths_of(catalogue, A)

    async def test_a_place_that_is_missing_is_no_second_one(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await catalogue.put_locations([Location("/m/b.pt", A, LocationState.PRESENT, print_of(7))], NOW)
        await catalogue.set_missing(["/m/b.pt"], "gone", NOW)
        assert await catalogue.contents_at_several_paths() == []
