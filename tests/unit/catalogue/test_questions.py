"""What others ask the catalogue: models, tags, counts, and names of whatever bytes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.catalogue.bare_sqlite import restored_path, storable_path
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.browsing import Wanted
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.json_text import json_text
from modelkeep.domain.values import JsonObject, LocationState, PendingState, Tag

from .conftest import (
    NOT_UTF8,
    NOW,
    A,
    B,
    C,
    D,
    hashed,
    legacy,
    migrate,
    order,
    paths_of,
    print_of,
    queue,
    rows_of,
    take,
    the_model,
    the_row,
)


async def names(catalogue: Catalogue, **asked: object) -> list[str]:
    return [model.name for model, _ in await catalogue.models(**asked)]  # type: ignore[arg-type]


@pytest.fixture
async def library(catalogue: Catalogue) -> Catalogue:
    """Four models, in another order than that of their names."""
    await take(
        catalogue,
        legacy("d", claim=D, name="delta 100%", type="vae"),
        legacy("b", claim=B, name="beta_x", type="lora", tags=["x"], image="p1"),
        legacy("a", claim=A, name="Alpha", type="lora", tags=["x", "y"], image="p2"),
        legacy("c", "/m/special/betaQx.pt", claim=C, name="gamma"),
    )
    return catalogue


class TestModels:
    async def test_they_come_by_name_with_their_images_counted(self, library: Catalogue) -> None:
        listed = await library.models()
        assert [(model.name, count) for model, count in listed] == [
            ("Alpha", 1),
            ("beta_x", 1),
            ("delta 100%", 0),
            ("gamma", 0),
        ]
        assert [tag.name for tag in listed[0][0].tags] == ["x", "y"]

    async def test_a_page_at_a_time(self, library: Catalogue) -> None:
        assert await names(library, limit=2) == ["Alpha", "beta_x"]
        assert await names(library, limit=2, offset=3) == ["gamma"]
        assert await names(library, offset=2) == ["delta 100%", "gamma"]

    async def test_of_one_type(self, library: Catalogue) -> None:
        assert await names(library, type="lora") == ["Alpha", "beta_x"]
        assert await names(library, type="") == ["gamma"]
        assert await names(library, type="no such type") == []
        assert await library.types() == ["lora", "vae"]

    async def test_of_one_tag(self, library: Catalogue) -> None:
        assert await names(library, tag="x") == ["Alpha", "beta_x"]
        assert await names(library, tag="y") == ["Alpha"]
        assert await names(library, tag="z") == []

    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("ALPHA", ["Alpha"]),
            ("beta", ["beta_x", "gamma"]),
            ("beta_x", ["beta_x"]),
            ("100%", ["delta 100%"]),
            ("%", ["delta 100%"]),
            ("/special/", ["gamma"]),
            ("'; DROP TABLE models; --", []),
            ("\udcff", []),
        ],
    )
    async def test_by_a_part_of_the_name_or_path_without_wild_cards(
        self, library: Catalogue, q: str, expected: list[str]
    ) -> None:
        assert await names(library, q=q) == expected

    @pytest.mark.parametrize("text", ["\0", "Alpha\0", "%" * 30_000, "Alpha" * 10_000])
    async def test_a_text_that_nothing_can_hold_is_found_nowhere(self, library: Catalogue, text: str) -> None:
        assert await names(library, q=text) == []
        assert await library.find_models(text) == []
        assert await library.browse(Wanted(text=text)) == []

    async def test_all_conditions_count_together(self, library: Catalogue) -> None:
        assert await names(library, type="lora", tag="x", q="beta") == ["beta_x"]

    async def test_thousands_are_listed_with_their_tags(self, catalogue: Catalogue) -> None:
        rows = [legacy(str(n), claim=f"{n:064x}", name=f"{n:05}", tags=["x"]) for n in range(1_100)]
        await take(catalogue, *rows)
        listed = await catalogue.models()
        assert len(listed) == 1_100
        assert all(len(model.tags) == 1 for model, _ in listed)


class TestFindModels:
    async def test_by_the_whole_hash_or_its_beginning(self, library: Catalogue) -> None:
        for text in (A, A.upper(), "aaaaaa", "AAAAAAA"):
            assert [model.name for model in await library.find_models(text)] == ["Alpha"]

    async def test_five_digits_are_a_part_of_a_name(self, library: Catalogue) -> None:
        assert await library.find_models("aaaaa") == []

    async def test_by_path(self, library: Catalogue) -> None:
        assert [model.name for model in await library.find_models("/m/special/betaQx.pt")] == ["gamma"]

    async def test_an_exact_name_goes_before_parts_of_names(self, library: Catalogue) -> None:
        await take(library, legacy("e", claim="e" * 64, name="Alpha two"))
        assert [model.name for model in await library.find_models("Alpha")] == ["Alpha"]
        assert [model.name for model in await library.find_models("alph")] == ["Alpha", "Alpha two"]

    async def test_a_name_of_hash_digits_is_found_as_a_name(self, library: Catalogue) -> None:
        await take(library, legacy("f", "/m/decade.pt", claim="e" * 64, name="decade"))
        assert [model.name for model in await library.find_models("decade")] == ["decade"]

    async def test_what_nobody_knows_is_found_nowhere(self, library: Catalogue) -> None:
        assert await library.find_models("nothing of that kind") == []
        assert await library.find_models("\udcff") == []


class TestOneModel:
    async def test_one_that_is_not_there(self, catalogue: Catalogue) -> None:
        assert await catalogue.model(A) is None
        assert await catalogue.find_models("/m/a.pt") == []

    async def test_by_any_of_its_paths(self, library: Catalogue) -> None:
        (model,) = await library.find_models("/m/a.pt")
        assert model.sha256 == A

    async def test_by_the_path_at_which_it_was_last(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await catalogue.set_missing(["/m/a.pt"], "gone", NOW)
        (model,) = await catalogue.find_models("/m/a.pt")
        assert model.sha256 == A

    async def test_its_locations_come_longest_known_first(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/b.pt", A)
        (row,) = await queue(catalogue, "/m/a.pt")
        await catalogue.migrate([order(row, A)], [], NOW + 500, lambda _: None)
        details = await catalogue.model(A)
        assert details is not None
        assert [place.path for place in details.locations] == ["/m/b.pt", "/m/a.pt"]


class TestOtherQuestions:
    async def test_an_unused_catalogue_counts_nothing(self, catalogue: Catalogue) -> None:
        assert await catalogue.counts() == {
            "models": 0,
            "images": 0,
            "tags": 0,
            "locations": {state.value: 0 for state in LocationState},
            "pending": {state.value: 0 for state in PendingState},
        }

    async def test_counts(self, library: Catalogue) -> None:
        await queue(library, "/m/x.pt")
        counts = await library.counts()
        assert (counts["models"], counts["images"], counts["tags"]) == (4, 2, 2)
        assert counts["locations"] == {"present": 0, "missing": 4, "unreachable": 0}
        assert counts["pending"] == {"waiting": 1, "conflict": 0, "failed": 0, "missing": 0}

    async def test_tags_come_by_name(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", tags=["z", "a", "m"]))
        assert [tag.name for tag in await catalogue.tags()] == ["a", "m", "z"]
        assert all(isinstance(tag, Tag) and tag.id > 0 for tag in await catalogue.tags())

    async def test_hashes_are_known_by_file_name(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/loras/a.pt", A)
        await hashed(catalogue, NOT_UTF8, B)
        name = NOT_UTF8.rsplit("/", 1)[-1]
        assert await catalogue.hashes_by_file_name() == {"a.pt": A, name: B}

    async def test_images_that_something_refers_to(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", copied="s.png"), legacy("b", copied="s.jpg"), legacy("c"))
        a, b = await the_row(catalogue, "/m/a.pt"), await the_row(catalogue, "/m/b.pt")
        assert await catalogue.pending_images() == {a.image, b.image}
        await migrate(catalogue, order(a, A, image="p1"), order(b, B, refused="no image"))
        assert await catalogue.pending_images() == {b.image}

    async def test_a_pause_survives_a_restart(self, file: Path) -> None:
        for paused in (True, False, True):
            catalogue = Catalogue(file)
            await catalogue.set_paused(paused)
            catalogue.close()
            catalogue = Catalogue(file)
            assert await catalogue.is_paused() is paused
            catalogue.close()

    async def test_a_new_catalogue_is_not_paused(self, catalogue: Catalogue) -> None:
        assert not await catalogue.is_paused()


class TestNamesOfWhateverBytes:
    async def test_every_question_takes_and_gives_them(self, catalogue: Catalogue) -> None:
        folder, name = NOT_UTF8.rsplit("/", 1)
        (row,) = await queue(catalogue, NOT_UTF8)
        assert (await the_row(catalogue, NOT_UTF8)).name == name
        assert (await catalogue.known_below(folder))[1] == {NOT_UTF8: PendingState.WAITING}
        await migrate(catalogue, order(row, A))
        assert (await the_model(catalogue, A)).path == NOT_UTF8
        assert (await the_model(catalogue, A)).name == name
        assert set(await catalogue.locations_at([NOT_UTF8, "/m/x"])) == {NOT_UTF8}
        assert [place.path for place in (await catalogue.known_below(folder))[0]] == [NOT_UTF8]
        assert [model.path for model in await catalogue.find_models(NOT_UTF8)] == [NOT_UTF8]
        assert [model.path for model, _ in await catalogue.models(q="caf\udce9")] == [NOT_UTF8]
        twins = await catalogue.twins_of({print_of(row.id)})
        assert [place.path for place in twins[print_of(row.id)]] == [NOT_UTF8]
        assert await catalogue.see_again({NOT_UTF8: print_of(row.id)}, NOW) == []
        assert await catalogue.set_state_below(folder, LocationState.PRESENT, LocationState.UNREACHABLE) == 1
        assert len(await catalogue.set_missing([NOT_UTF8], "gone", NOW)) == 1
        assert await paths_of(catalogue, A) == {NOT_UTF8: LocationState.MISSING}

    async def test_other_programs_can_read_the_file(self, catalogue: Catalogue, file: Path) -> None:
        await take(catalogue, legacy("a", NOT_UTF8, claim=A, meta={"note": "odd \udcff", "emoji": "\ud83d"}))
        (path, meta) = rows_of(file, "SELECT path, meta_json FROM models")[0]
        assert path.startswith("/m/caf")
        path.encode()
        meta.encode()

    async def test_ids_of_files_may_have_all_bits(self, catalogue: Catalogue, file: Path) -> None:
        known = await hashed(catalogue, "/m/a.pt", A)
        await catalogue.put_locations([replace(known, fingerprint=Fingerprint(2**64 - 1, 2**63, 1, 1))], NOW)
        assert rows_of(file, "SELECT device, inode FROM locations") == [(-1, -(2**63))]

    @given(st.binary(max_size=30).filter(lambda name: b"\0" not in name))
    def test_every_name_of_a_file_comes_back(self, name: bytes) -> None:
        path = name.decode("utf-8", "surrogateescape")
        storable_path(path).encode()
        assert restored_path(storable_path(path)) == path

    @pytest.mark.parametrize("character", ["\U0010ff80", "\U0010ffe9", "\U0010ffff"])
    def test_no_two_names_are_stored_as_one(self, character: str) -> None:
        """The last private-use characters stand for bytes: a name that really has one must not pass for another."""
        assert restored_path(storable_path(f"/m/{character}.pt")) == f"/m/{character}.pt"
        escaped = chr(0xDC00 + (ord(character) & 0xFF))
        assert storable_path(f"/m/{character}.pt") != storable_path(f"/m/{escaped}.pt")

    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=[])),
            st.one_of(
                st.none(), st.integers(), st.text(st.characters(exclude_categories=[])), st.floats(allow_nan=False)
            ),
        )
    )
    def test_every_object_can_be_stored_as_text(self, value: JsonObject) -> None:
        text = json_text(value)
        text.encode()
        assert json.loads(text) == value
