"""Copies apart from links: what could be freed is what takes space twice, and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.duplicates import Duplicate, find_duplicates, total_freeable_bytes
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState, Model

SHA = "ab" * 32
MODEL = Model(SHA, path="/m/a.pt", name="a.pt", size_bytes=100)


def place(
    path: str, inode: int = 1, state: LocationState = LocationState.PRESENT, *, device: int = 1, claimed: bool = False
) -> Location:
    return Location(path, SHA, state, Fingerprint(device, inode, 100, 5), claimed)


def only(*places: Location, links: tuple[str, ...] = ()) -> Duplicate:
    (found,) = find([(MODEL, list(places))], links.__contains__)
    return found


def find(contents: list[tuple[Model, list[Location]]], is_link: Callable[[str], bool]) -> list[Duplicate]:
    """Find duplicates while every file lies as it is known."""
    there = {place.path: place.fingerprint for _, places in contents for place in places}
    return find_duplicates(contents, is_link, there.get)


def test_two_files_of_one_content_are_two_copies_and_one_could_be_freed() -> None:
    found = only(place("/m/a.pt"), place("/m/b.pt", 2))
    assert found == Duplicate(MODEL, (("/m/a.pt",), ("/m/b.pt",)))
    assert found.freeable_bytes == 100


def test_the_same_inode_number_on_another_disk_is_another_file() -> None:
    assert only(place("/m/a.pt"), place("/n/a.pt", device=2)).freeable_bytes == 100


def test_hard_links_are_one_copy_under_several_names_and_free_nothing() -> None:
    found = only(place("/m/b.pt"), place("/m/a.pt"))
    assert found.copies == (("/m/a.pt", "/m/b.pt"),), "the main path stands first"
    assert found.freeable_bytes == 0


def test_a_symbolic_link_is_neither_a_copy_nor_a_hard_link() -> None:
    found = only(place("/m/a.pt"), place("/m/link.pt"), links=("/m/link.pt",))
    assert (found.copies, found.symbolic_links) == ((("/m/a.pt",),), ("/m/link.pt",))
    assert found.freeable_bytes == 0


def test_symbolic_links_to_a_file_that_nobody_watches_free_nothing() -> None:
    found = only(place("/m/a.pt"), place("/m/b.pt"), links=("/m/a.pt", "/m/b.pt"))
    assert (found.copies, found.freeable_bytes) == ((), 0)


@pytest.mark.parametrize("state", [LocationState.MISSING, LocationState.UNREACHABLE])
def test_what_is_not_there_is_told_apart_and_frees_nothing(state: LocationState) -> None:
    found = only(place("/m/a.pt"), place("/m/b.pt"), place("/usb/a.pt", 7, state))
    assert found.away == (place("/usb/a.pt", 7, state),)
    assert found.freeable_bytes == 0


def test_a_claim_that_nobody_confirmed_frees_nothing() -> None:
    claim = place("/m/b.pt", 2, claimed=True)
    found = only(place("/m/a.pt"), claim)
    assert (found.away, found.freeable_bytes) == ((claim,), 0)


@pytest.mark.parametrize("now", [None, Fingerprint(1, 2, 0, 9), Fingerprint(1, 2, 100, 6), Fingerprint(1, 3, 100, 5)])
def test_what_is_not_at_this_moment_the_file_that_was_read_frees_nothing(now: Fingerprint | None) -> None:
    other = place("/m/b.pt", 2)
    there = {"/m/a.pt": place("/m/a.pt").fingerprint, other.path: now}
    (found,) = find_duplicates([(MODEL, [place("/m/a.pt"), other])], lambda _: False, there.get)
    assert (found.away, found.freeable_bytes) == ((other,), 0)


def test_a_file_that_may_have_been_written_since_it_was_read_frees_nothing() -> None:
    doubted = replace(place("/m/b.pt", 2), doubted=True)
    found = only(place("/m/a.pt"), doubted)
    assert (found.away, found.freeable_bytes) == ((doubted,), 0)


def test_a_copy_on_a_drive_that_is_not_plugged_in_is_a_duplicate() -> None:
    assert only(place("/m/a.pt"), place("/usb/a.pt", 7, LocationState.UNREACHABLE)).copies == (("/m/a.pt",),)


def test_a_file_that_only_changed_its_place_is_no_duplicate() -> None:
    places = [place("/m/a.pt"), place("/m/old.pt", 7, LocationState.MISSING)]
    assert find([(MODEL, places)], lambda _: False) == []


def test_those_that_free_the_most_come_first() -> None:
    small, large = MODEL, MODEL.evolve(sha256="cd" * 32, name="b.pt", size_bytes=900)
    linked = MODEL.evolve(sha256="ef" * 32, name="c.pt", size_bytes=5000)
    twice = [place("/m/a.pt"), place("/m/b.pt", 2)]
    same = [place("/m/a.pt"), place("/m/b.pt")]
    found = find([(small, twice), (linked, same), (large, twice)], lambda _: False)
    assert [item.model for item in found] == [large, small, linked]
    assert total_freeable_bytes(found) == 1000


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(LocationState), st.booleans(), st.booleans()), max_size=8)
)
def test_every_place_is_told_once_and_one_file_always_stays(
    drawn: list[tuple[int, LocationState, bool, bool]],
) -> None:
    places = [
        place(f"/m/{number}.pt", inode, state, claimed=claimed)
        for number, (inode, state, claimed, _) in enumerate(drawn)
    ]
    links = {f"/m/{number}.pt" for number, item in enumerate(drawn) if item[3]}
    found = find([(MODEL, places)], links.__contains__)
    if not found:
        assert sum(item.state is not LocationState.MISSING for item in places) < 2
        return
    names = [name for copy in found[0].copies for name in copy]
    told = [*names, *found[0].symbolic_links, *(item.path for item in found[0].away)]
    assert sorted(told) == sorted(item.path for item in places)
    files = {item.fingerprint for item in places if item.path in names}
    assert found[0].freeable_bytes == 100 * max(0, len(files) - 1)
