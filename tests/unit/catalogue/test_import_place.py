"""A source that is imported again without the `--map` of the first time: its rows stay where they are."""

from dataclasses import replace

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.catalogue.store.import_place import prefixes, stays
from modelkeep.domain.legacy import StagedRow, Taking
from modelkeep.domain.values import LocationState

from .conftest import NOW, A, legacy, paths_of, print_of, take, the_row

MAPS = {("/srv", "/m")}


def mapped(staged: StagedRow) -> StagedRow:
    return replace(staged, row=replace(staged.row, is_mapped=True))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("/srv/models/a.pt", "/m/models/a.pt", ("/srv", "/m")),
        ("/srv/models/a.pt", "/m/a.pt", ("/srv/models", "/m")),
        ("/a.pt", "/m/x/a.pt", ("", "/m/x")),
        ("/m/a.pt", "/m/a.pt", ("", "")),
        ("/srv/caf\udce9/a.pt", "/m/caf\udce9/a.pt", ("/srv", "/m")),
    ],
)
def test_prefixes_are_what_differs(old: str, new: str, expected: tuple[str, str]) -> None:
    assert prefixes(old, new) == expected


@pytest.mark.parametrize(
    ("path", "digest", "before", "maps", "expected"),
    [
        ("/srv/x/a.pt", "same", "/m/x/a.pt", MAPS, True),
        ("/srv/x/a.pt", "new", "/m/x/a.pt", MAPS, True),
        ("/srv/y/a.pt", "new", "/m/x/a.pt", MAPS, False),
        ("/srv/x/b.pt", "new", "/m/x/a.pt", MAPS, False),
        ("/srv/x/a.pt", "new", "/m/x/a.pt", set(), True),
        ("/srv/x/b.pt", "new", "/m/x/a.pt", set(), False),
    ],
)
def test_a_row_stays_unless_its_path_in_the_source_changed(
    path: str, digest: str, before: str, maps: set[tuple[str, str]], expected: bool
) -> None:
    assert stays((digest, path), "same", before, maps) is expected


async def test_without_the_map_of_the_first_time_nothing_changes(catalogue: Catalogue) -> None:
    await take(
        catalogue, mapped(legacy("a", "/m/a.pt", on_disk=print_of(1))), mapped(legacy("b", "/m/b.pt", claim=A))
    )
    taken = await take(catalogue, legacy("a", "/srv/a.pt"), legacy("b", "/srv/b.pt", claim=A))
    assert [row.taking for row in taken] == [Taking.UNCHANGED, Taking.UNCHANGED]
    assert [row.path for row in await catalogue.pending_imports()] == ["/m/a.pt"]
    assert await paths_of(catalogue, A) == {"/m/b.pt": LocationState.MISSING}


@pytest.mark.parametrize("first", ["/m/a.pt", "/srv/a.pt"])
async def test_another_map_moves_a_row_even_back_to_the_path_in_the_source(catalogue: Catalogue, first: str) -> None:
    await take(catalogue, mapped(legacy("a", first)))
    for path in ("/n/a.pt", "/srv/a.pt"):
        (taken,) = await take(catalogue, mapped(legacy("a", path)))
        assert taken.taking is Taking.UPDATED
        assert [row.path for row in await catalogue.pending_imports()] == [path]


async def test_what_changed_in_the_source_is_taken_in_where_the_row_is(catalogue: Catalogue) -> None:
    await take(catalogue, mapped(legacy("a", "/m/x/a.pt", name="Old")), mapped(legacy("b", "/m/x/b.pt")))
    await take(catalogue, legacy("a", "/srv/x/a.pt", digest="2", name="New"), legacy("b", "/srv/x/b.pt"))
    assert {row.path: row.name for row in await catalogue.pending_imports()} == {"/m/x/a.pt": "New", "/m/x/b.pt": ""}


async def test_a_row_whose_path_in_the_source_changed_moves(catalogue: Catalogue) -> None:
    await take(catalogue, mapped(legacy("a", "/m/x/a.pt")), mapped(legacy("b", "/m/x/b.pt")))
    await take(catalogue, legacy("a", "/srv/y/a.pt", digest="2"), legacy("b", "/srv/x/b.pt"))
    assert [row.path for row in await catalogue.pending_imports()] == ["/srv/y/a.pt", "/m/x/b.pt"]


async def test_a_row_that_the_owner_placed_stays_there_whatever_the_map(catalogue: Catalogue) -> None:
    await take(catalogue, legacy("a", "/srv/a.pt", name="Old"))
    row = await the_row(catalogue, "/srv/a.pt")
    await catalogue.relocate(row.id, "/elsewhere/b.pt", NOW)
    for staged in (legacy("a", "/srv/a.pt"), mapped(legacy("a", "/m/a.pt"))):
        (taken,) = await take(catalogue, staged)
        assert (taken.taking, taken.pending_id) == (Taking.UNCHANGED, row.id)
    (taken,) = await take(catalogue, mapped(legacy("a", "/m/a.pt", digest="2", name="New")))
    assert (taken.taking, taken.pending_id) == (Taking.UPDATED, row.id)
    assert {row.path: row.name for row in await catalogue.pending_imports()} == {"/elsewhere/b.pt": "New"}
    (taken,) = await take(catalogue, mapped(legacy("a", "/m/a.pt", digest="2", name="New")))
    assert taken.taking is Taking.UNCHANGED
