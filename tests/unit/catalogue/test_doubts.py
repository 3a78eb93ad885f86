"""Doubted files: what is read of them settles the doubt, and judges what older databases said of them too."""

from dataclasses import replace

import pytest
from tests.fakes import location_at

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.claims import Judgement, Marked
from modelkeep.domain.detection import Rename
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState

from .conftest import NOW, A, B, C, hashed, legacy, paths_of, print_of, read, take, the_model, the_row

PATH = "/m/a.pt"


async def doubted(catalogue: Catalogue) -> Location:
    """Bring a file into the catalogue, and doubt it; returns its location."""
    await hashed(catalogue, PATH, A)
    place = await location_at(catalogue, PATH)
    assert place is not None
    assert place.fingerprint is not None
    assert await catalogue.doubt({PATH: place.fingerprint}, NOW + 2) == []
    place = await location_at(catalogue, PATH)
    assert place is not None
    assert place.doubted
    return place


def touched(place: Location) -> Fingerprint:
    """Return the fingerprint of a file of which the ctime is another than it was known with."""
    assert place.fingerprint is not None
    return place.fingerprint._replace(ctime_ns=7)


async def judged(catalogue: Catalogue, place: Location, found: str) -> Judgement:
    return await read(catalogue, place.path, place.sha256, found, touched(place))


async def test_doubted_files_wait_to_be_read(catalogue: Catalogue) -> None:
    place = await doubted(catalogue)
    assert await catalogue.claims(10) == [place]
    assert await catalogue.mark_claims({place: touched(place)}, NOW) == Marked({place: touched(place)}, [])


async def test_a_file_that_is_what_it_was_is_believed_and_its_other_names_are_too(catalogue: Catalogue) -> None:
    place = await doubted(catalogue)
    link = replace(place, path="/m/link.pt")
    await catalogue.put_locations([link], NOW)
    assert await judged(catalogue, place, A) == Judgement(PATH), "nobody claimed anything"
    for path in (PATH, link.path):
        known = await location_at(catalogue, path)
        assert known is not None
        assert (known.sha256, known.doubted, known.fingerprint) == (A, False, touched(place))
    assert await catalogue.claims(10) == []


async def test_a_file_that_holds_something_else_is_queued_and_the_old_content_keeps_what_is_known(
    catalogue: Catalogue,
) -> None:
    place = await doubted(catalogue)
    before = await the_model(catalogue, A)
    judgement = await judged(catalogue, place, B)
    row = await the_row(catalogue, PATH)
    assert judgement == Judgement(PATH, displaced=A, row=row)
    assert row.knows_nothing
    assert await paths_of(catalogue, A) == {}
    assert replace(await the_model(catalogue, A), path=before.path) == before


@pytest.mark.parametrize(("found", "confirmed", "refuted"), [(A, A, ()), (B, "", (A,)), (C, "", (A,))])
async def test_what_is_said_of_a_doubted_file_follows_it(
    catalogue: Catalogue, found: str, confirmed: str, refuted: tuple[str, ...]
) -> None:
    place = await doubted(catalogue)
    await take(catalogue, legacy("a", PATH, claim=A, base="SDXL"))
    judgement = await judged(catalogue, place, found)
    assert (judgement.confirmed, judgement.refuted) == (confirmed, refuted)
    assert judgement.displaced == ("" if found == A else A)
    assert (await the_model(catalogue, A)).base == "SDXL"
    if found != A:
        row = await the_row(catalogue, PATH)
        assert (row.base, row.sha256, row.verified) == ("SDXL", found, True)


async def test_a_doubt_follows_a_file_that_is_renamed_while_it_is_read(catalogue: Catalogue) -> None:
    place = await doubted(catalogue)
    rename = Rename(PATH, "/m/b.pt", A, seen=touched(place), is_doubtful=True)
    await catalogue.move_paths([rename], NOW)
    judgement = await judged(catalogue, place, B)
    assert (judgement.path, judgement.displaced) == ("/m/b.pt", A)
    assert [row.path for row in await catalogue.pending_imports()] == ["/m/b.pt"]


async def test_another_file_that_was_put_there_meanwhile_is_not_judged(catalogue: Catalogue) -> None:
    place = await doubted(catalogue)
    await hashed(catalogue, "/m/c.pt", C)
    await catalogue.put_locations([Location(PATH, C, LocationState.PRESENT, print_of(9))], NOW)
    assert await judged(catalogue, place, B) == Judgement(PATH)
    assert await paths_of(catalogue, C) == dict.fromkeys([PATH, "/m/c.pt"], LocationState.PRESENT)


async def test_a_known_file_that_is_read_again_and_holds_something_else_is_noticed(catalogue: Catalogue) -> None:
    """It was written where nobody saw it, and dated back: who reads it for its digests finds that out."""
    place = await hashed(catalogue, PATH, A)
    assert await judged(catalogue, place, A) == Judgement(PATH)
    assert await location_at(catalogue, PATH) == place
    judgement = await judged(catalogue, place, B)
    assert (judgement.displaced, judgement.refuted) == (A, ())
    assert await location_at(catalogue, PATH) is None
    assert (await the_row(catalogue, PATH)).size_bytes == 10
    assert (await the_model(catalogue, A)).sha256 == A
