"""What is kept of the bytes of contents: told by any digest, completed later, and followed from header to header."""

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.acts import ActKind, ActOrder
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.edits import Edit
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, SourceRecord
from modelkeep.domain.values import LocationState

from .conftest import NOW, A, B, C, hashed, the_model

TENSORS = "7e" * 32


def row(sha256: str, tensors: str | None = TENSORS, **said: object) -> ContentRow:
    about = {"format": "safetensors", "header": {"modelspec.title": 'A "title" of 水'}, "autov1": "0123abcd", **said}
    return ContentRow(sha256, tensors=tensors, **about)  # type: ignore[arg-type]


async def found(catalogue: Catalogue, text: str) -> set[str]:
    return {model.sha256 for model in await catalogue.find_models(text)}


async def lose(catalogue: Catalogue, path: str) -> None:
    """Record that the file of a location is no more what it was."""
    await catalogue.lose_content(list((await catalogue.locations_at([path])).values()))


async def test_a_model_is_found_by_the_beginning_of_every_digest(catalogue: Catalogue) -> None:
    for path, sha256 in (("/m/a.safetensors", A), ("/m/b.safetensors", B)):
        await hashed(catalogue, path, sha256)
    await catalogue.keep_contents([row(A, blake3="b3" * 32), row(B, "9f" * 32, autov1="e3b0c442")])
    for text in (A[:10], TENSORS[:8], TENSORS[:12].upper(), f"0x{TENSORS}", "0123ABCD", "b3" * 4):
        assert await found(catalogue, text) == {A}, text
    assert await found(catalogue, "9f" * 6) == {B}
    for text in (TENSORS[:7], "0123abc", TENSORS + "0", "7e7e7e7f"):
        assert await found(catalogue, text) == set(), text


@pytest.mark.parametrize("text", ['a "TITLE"', "水", "modelspec.title"])
async def test_a_model_is_found_by_what_its_header_says(catalogue: Catalogue, text: str) -> None:
    await hashed(catalogue, "/m/a.safetensors", A)
    await catalogue.keep_contents([row(A)])
    assert await found(catalogue, text) == {A}
    await hashed(catalogue, "/m/a title 水 modelspec.title.safetensors", B)
    assert await found(catalogue, text) in ({B}, {A})  # a name comes before a header


async def test_what_was_not_read_is_read_later_once_for_each_content(catalogue: Catalogue) -> None:
    for path, sha256 in (("/m/a.safetensors", A), ("/m/a2.safetensors", A), ("/m/b.safetensors", B)):
        await hashed(catalogue, path, sha256)
    paths = [location.path for location in await catalogue.unread_contents(9)]
    assert paths == ["/m/a.safetensors", "/m/b.safetensors"]
    await catalogue.keep_contents([row(A, None), row(B, "")])
    assert [location.sha256 for location in await catalogue.unread_contents(9)] == [A]
    # One that was tried in vain does not stand for the others.
    again = await catalogue.unread_contents(9, {"/m/a.safetensors"})
    assert [location.path for location in again] == ["/m/a2.safetensors"]
    assert await catalogue.unread_contents(9, {"/m/a.safetensors", "/m/a2.safetensors"}) == []
    assert await catalogue.unread_contents(9, folders=["/m/b", "/n"]) == []
    await catalogue.keep_contents([row(A)])
    assert await catalogue.unread_contents(9) == []
    known = await catalogue.model(A)
    assert known is not None
    assert known.content == row(A)


async def test_what_is_read_again_with_less_takes_nothing_away(catalogue: Catalogue) -> None:
    assert await catalogue.keep_contents([row(A)]) == []
    assert await catalogue.keep_contents([row(A, None, header={})]) == []
    await hashed(catalogue, "/m/a.safetensors", A)
    known = await catalogue.model(A)
    assert known is not None
    assert known.content == row(A)


async def test_tensors_that_are_known_are_recognised_and_those_of_nothing_are_not(catalogue: Catalogue) -> None:
    await catalogue.keep_contents([row(A)])
    assert await catalogue.keep_contents([row(B), row(C, "")]) == [B]
    assert await catalogue.keep_contents([row("d" * 64, "")]) == []


async def test_siblings_are_no_copies_and_one_takes_over_when_the_other_is_gone(catalogue: Catalogue) -> None:
    for path, sha256 in (("/m/a.safetensors", A), ("/m/b.safetensors", B), ("/m/c.safetensors", C)):
        await hashed(catalogue, path, sha256)
    await catalogue.keep_contents([row(A), row(B), row(C, "")])
    assert [[model.sha256 for model in family] for family in await catalogue.families()] == [[A, B]]
    assert await catalogue.contents_at_several_paths() == []
    assert await catalogue.successions() == []
    await catalogue.set_unreachable(["/m/a.safetensors"])
    assert await catalogue.successions() == []
    await lose(catalogue, "/m/a.safetensors")
    assert await catalogue.successions() == [(A, B)]
    order = ActOrder("m" * 32, ActKind.INHERITED, B, origin=A, by_owner=False)
    await catalogue.act(order, (), NOW, lambda _: None)
    assert await catalogue.successions() == []
    assert await catalogue.families() == []
    known = await catalogue.model(B)
    assert known is not None
    assert [(each.sha256, each.state, each.heir) for each in known.siblings] == [(A, LocationState.MISSING, B)]
    await lose(catalogue, "/m/b.safetensors")
    await hashed(catalogue, "/m/a.safetensors", A)
    assert await catalogue.successions() == [(B, A)]


async def test_a_model_that_is_forgotten_is_forgotten_with_its_digests(catalogue: Catalogue) -> None:
    await hashed(catalogue, "/m/a.safetensors", A)
    await catalogue.keep_contents([row(A)])
    await lose(catalogue, "/m/a.safetensors")
    await catalogue.act(ActOrder("m" * 32, ActKind.PURGED, A), (), NOW, lambda _: None)
    assert await catalogue.keep_contents([row(B)]) == []


async def test_the_header_of_a_content_that_is_gone_already_speaks(catalogue: Catalogue) -> None:
    await catalogue.keep_contents([row(A, header={"modelspec.author": "Somebody"})])
    await hashed(catalogue, "/m/a.safetensors", A)
    await lose(catalogue, "/m/a.safetensors")
    assert await catalogue.may_attach(["/m/a.safetensors"], [A])
    await catalogue.attach_records(["/m/a.safetensors"], (), NOW, lambda _: None, contents=[A])
    assert (await the_model(catalogue, A)).meta["author"] == "Somebody"
    assert not await catalogue.may_attach(["/m/a.safetensors"], [A])


async def test_a_digest_that_is_read_late_tells_shared_stems_apart(catalogue: Catalogue) -> None:
    paths = ("/m/x.safetensors", "/m/x.sft")
    claims = (HashClaim(HashKind.TENSORS, "1f" * 32, Grade.B),)
    said = SourceRecord("rgthree", "/m/x.json", "1", paths, meaning=Meaning(author="Somebody"), claims=claims)
    for path, sha256 in zip(paths, (A, B), strict=True):
        await hashed(catalogue, path, sha256)
    await catalogue.adopt([Arrival(said)], (), NOW, lambda _: None)
    assert [(await the_model(catalogue, sha256)).meta.get("author") for sha256 in (A, B)] == ["Somebody"] * 2
    await catalogue.keep_contents([row(A, tensors="2f" * 32), row(B, tensors="1f" * 32)])
    await catalogue.attach_records([], (), NOW, lambda _: None, contents=[A, B])
    assert [(await the_model(catalogue, sha256)).meta.get("author") for sha256 in (A, B)] == [None, "Somebody"]


async def names_after(catalogue: Catalogue, *steps: str) -> list[str]:
    """Have B take over from A and B's header speak, in this order; returns what B says then."""
    for step in steps:
        if step == "attach":
            await catalogue.attach_records(["/m/b.safetensors"], (), NOW, lambda _: None)
        else:
            order = ActOrder("m" * 32, ActKind.INHERITED, B, origin=A, by_owner=False)
            plan = await catalogue.act(order, (), NOW, lambda _: None)
            assert plan.changes
    known = await catalogue.model(B)
    assert known is not None
    return [known.model.name, known.model.meta.get("author", ""), known.model.meta.get("description", "")]


@pytest.mark.parametrize("steps", [("attach", "take over"), ("take over", "attach")], ids=" then ".join)
@pytest.mark.parametrize("is_chosen", [True, False], ids=["the owner's name", "the header's name"])
async def test_what_a_header_says_gives_way_to_the_owners_words_in_whatever_order(
    catalogue: Catalogue, steps: tuple[str, ...], is_chosen: bool
) -> None:
    one = {"modelspec.title": "One", "modelspec.author": "First"}
    await hashed(catalogue, "/m/a.safetensors", A)
    await catalogue.keep_contents([row(A, header=one), row(B, header=one | {"modelspec.title": "Two"})])
    await catalogue.attach_records(["/m/a.safetensors"], (), NOW, lambda _: None)
    edit = Edit(name="Chosen" if is_chosen else None, meta={"description": "mine"})
    await catalogue.act(ActOrder("e" * 32, ActKind.EDITED, A, edit=edit), (), NOW, lambda _: None)
    await hashed(catalogue, "/m/b.safetensors", B)
    await lose(catalogue, "/m/a.safetensors")
    expected = ["Chosen" if is_chosen else "Two", "First", "mine"]
    assert await names_after(catalogue, *steps) == expected


async def test_images_in_headers_wait_until_they_were_looked_at(catalogue: Catalogue) -> None:
    await catalogue.keep_contents([row(sha256, image_waits=True) for sha256 in (A, B, C)])
    for path, sha256 in (("/m/b.safetensors", B), ("/m/a.safetensors", A)):
        await hashed(catalogue, path, sha256)
    assert await catalogue.waiting_header_images(9) == [A, B]  # C is no model
    assert await catalogue.waiting_header_images(1) == [A]
    assert await catalogue.waiting_header_images(9, A) == [B]
    await lose(catalogue, "/m/a.safetensors")
    await catalogue.settle_header_image(B)
    assert await catalogue.waiting_header_images(9) == []
