"""Which contents are at several paths."""

from tests.unit.catalogue.conftest import NOT_UTF8, NOW, A, B, C, D, hashed

from modelkeep.catalogue.catalogue import Catalogue


async def test_contents_at_several_paths_are_told_with_all_their_paths(catalogue: Catalogue) -> None:
    for path, sha256 in (("/m/a.pt", A), (NOT_UTF8, A), ("/m/b.pt", B), ("/m/c1.pt", C), ("/m/c2.pt", C)):
        await hashed(catalogue, path, sha256)
    await catalogue.set_missing(["/m/c2.pt"], "gone", NOW)

    found = await catalogue.contents_at_several_paths()

    assert [(model.sha256, [place.path for place in places]) for model, places in found] == [
        (A, sorted([NOT_UTF8, "/m/a.pt"]))
    ]


async def test_a_missing_path_is_told_with_a_content_that_is_at_two_others(catalogue: Catalogue) -> None:
    for number in range(3):
        await hashed(catalogue, f"/m/{number}.pt", D)
    await catalogue.set_missing(["/m/0.pt"], "gone", NOW)

    ((_, places),) = await catalogue.contents_at_several_paths()

    assert len(places) == 3


async def test_an_empty_catalogue_has_none(catalogue: Catalogue) -> None:
    assert await catalogue.contents_at_several_paths() == []
