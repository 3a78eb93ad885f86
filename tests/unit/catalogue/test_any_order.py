"""A model, its sidecar, a rename and another model in its place: the end is the same in whatever order they come."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.detection import Rename
from modelkeep.domain.edits import Edit
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, SourceRecord, Text

from .conftest import NOW, hashed
from .test_adoption import edit

SAID = Meaning(
    title="Said", notes="mine", description=Text("long"), tags=("ink",), trigger_words=("word",), base_model="SDXL"
)
KIND = "rgthree"
Order = Sequence[str]
Ends = list[dict[str, Any]]


class Shelf:
    """A folder of models called `x`, their one sidecar, and a catalogue that follows it.

    Its contents are called by letters, and no other shelf of the same catalogue has them.
    """

    def __init__(self, catalogue: Catalogue, number: int) -> None:
        self.catalogue = catalogue
        self.folder = f"/m/{number}"
        self._number = number
        self._models: set[str] = set()
        self._sidecar: SourceRecord | None = None

    def content(self, letter: str) -> str:
        return f"{self._number:04x}{letter * 60}"

    async def put(self, name: str, letter: str) -> None:
        self._models.add(name)
        await hashed(self.catalogue, f"{self.folder}/{name}", self.content(letter))
        await self._learn(name)

    async def rename(self, old: str, new: str) -> None:
        self._models = self._models - {old} | {new}
        await self.catalogue.move_paths([Rename(f"{self.folder}/{old}", f"{self.folder}/{new}")], NOW)
        await self._learn(new)

    async def delete(self, name: str) -> None:
        self._models.remove(name)
        await self.catalogue.set_missing([f"{self.folder}/{name}"], "gone", NOW)

    def write(self, claims: str, said: Meaning = SAID) -> None:
        """Write the sidecar, with claims of the hashes of these contents."""
        held = tuple(HashClaim(HashKind.SHA256, self.content(letter), Grade.B) for letter in claims)
        digest = f"{claims}{said.title}"
        self._sidecar = SourceRecord(KIND, f"{self.folder}/x.json", digest, stem="x", meaning=said, claims=held)

    async def look(self) -> None:
        """Take in what lies beside models, as a daemon does that runs."""
        if self._sidecar is None:
            return
        beside = sorted(f"{self.folder}/{name}" for name in self._models if name.startswith("x."))
        arrival = Arrival(replace(self._sidecar, models=tuple(beside)))
        await self.catalogue.adopt([arrival], (), NOW, lambda _: None)

    async def end(self) -> dict[str, Any]:
        """Return what is known at last."""
        await self.look()
        found: dict[str, Any] = {}
        for letter in "ab":
            sha256 = self.content(letter)
            details = await self.catalogue.model(sha256)
            assert details is not None
            model, sources = details.model, await self.catalogue.sources(sha256)
            tags = sorted(tag.name for tag in model.tags)
            digests = sorted(kept.record.digest for kept in sources.records)
            found[letter] = (model.name, model.base, model.meta, tags, digests)
        return found

    async def _learn(self, name: str) -> None:
        await self.catalogue.attach_records([f"{self.folder}/{name}"], (), NOW, lambda _: None)


def orders(steps: Order, *before: tuple[str, str]) -> list[Order]:
    """Return the orders in which steps may come, where some come before others."""
    return [
        order
        for order in itertools.permutations(steps)
        if all(order.index(one) < order.index(other) for one, other in before if {one, other} <= set(order))
    ]


async def ends(catalogue: Catalogue, ordered: Sequence[Order], claims: str, names: dict[str, str]) -> Ends:
    """Return the ends of all orders: in every second one nobody looks before all is done."""
    found = []
    for number, order in enumerate(ordered):
        for is_awake in (True, False):
            shelf = Shelf(catalogue, 2 * number + is_awake)
            for step in order:
                await _do(shelf, step, claims, names)
                if is_awake:
                    await shelf.look()
            found.append(await shelf.end())
            assert found[-1] == found[0], (order, is_awake, ordered[0])
    return found


async def _do(shelf: Shelf, step: str, claims: str, names: dict[str, str]) -> None:
    match step.split():
        case ["sidecar"]:
            shelf.write(claims)
        case [letter]:
            await shelf.put(names[letter], letter)
        case ["rename", letter]:
            await shelf.rename(names[letter], f"other{names[letter][1:]}")
        case ["delete", letter]:
            await shelf.delete(names[letter])


def saying(end: dict[str, Any]) -> str:
    """Return the contents that say what the sidecar says."""
    return "".join(letter for letter in "ab" if end[letter][0] == SAID.title)


async def test_a_sidecar_whose_model_was_renamed_stays_with_it_and_is_that_of_the_next_one_too(
    catalogue: Catalogue,
) -> None:
    ordered = orders(["a", "sidecar", "rename a", "b"], ("a", "rename a"), ("rename a", "b"))
    found = await ends(catalogue, ordered, "a", dict.fromkeys("ab", "x.safetensors"))
    assert len(found) == 8
    assert saying(found[0]) == "ab"
    assert await catalogue.orphans() == []


@pytest.mark.parametrize(("after", "expected"), [("delete a", "b"), ("rename b", "ab")])
async def test_a_shared_stem_is_told_apart_in_any_order(catalogue: Catalogue, after: str, expected: str) -> None:
    """The hash is that of `b`; a model that lies beside the sidecar alone has it too."""
    ordered = orders(["a", "b", "sidecar", after], ("a", after), ("b", after))
    found = await ends(catalogue, ordered, "b", {"a": "x.safetensors", "b": "x.ckpt"})
    assert saying(found[0]) == expected


@pytest.mark.parametrize(("claims", "expected"), [("ab", "ab"), ("c", "ab")])
async def test_while_both_are_there_the_hash_tells_or_it_is_ambiguous(
    catalogue: Catalogue, claims: str, expected: str
) -> None:
    found = await ends(catalogue, orders(["a", "b", "sidecar"]), claims, {"a": "x.safetensors", "b": "x.ckpt"})
    assert saying(found[0]) == expected


async def test_what_the_owner_said_meanwhile_stays_when_a_hash_tells_of_another_file(catalogue: Catalogue) -> None:
    shelf = Shelf(catalogue, 1)
    await shelf.put("x.safetensors", "a")
    shelf.write("b")
    await shelf.look()
    await edit(catalogue, shelf.content("a"), Edit(name="Mine", meta={"notes": "mine, and more"}))
    await shelf.put("x.ckpt", "b")
    end = await shelf.end()
    assert end["a"] == ("Mine", "", {"notes": "mine, and more"}, [], [])
    assert saying(end) == "b"


async def test_a_sidecar_that_is_written_for_the_next_model_says_nothing_of_the_one_that_was_renamed(
    catalogue: Catalogue,
) -> None:
    """A downloader writes it before its model, or after it."""
    for number, order in enumerate((["sidecar", "model"], ["model", "sidecar"])):
        shelf = Shelf(catalogue, number)
        await shelf.put("x.pt", "a")
        shelf.write("a")
        await shelf.look()
        await shelf.rename("x.pt", "y.pt")
        await shelf.look()
        for step in order:
            if step == "model":
                await shelf.put("x.pt", "b")
            else:
                shelf.write("b", Meaning(title="Next"))
            await shelf.look()
        end = await shelf.end()
        assert (end["a"][0], end["a"][4]) == ("Said", ["aSaid"])
        assert (end["b"][0], end["b"][4]) == ("Next", ["bNext"])
