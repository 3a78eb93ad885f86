"""A source that is imported again: what stayed, what changed, and what another `--map` moves."""

from pathlib import Path

from tests.fakes import location_at

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.legacy import StagedRow, Taking
from modelkeep.domain.values import LocationState, PendingState

from .conftest import (
    A,
    B,
    dump,
    hashed,
    legacy,
    migrate,
    order,
    paths_of,
    print_of,
    read,
    take,
    takings,
    the_model,
    the_row,
)

PRESENT, MISSING = LocationState.PRESENT, LocationState.MISSING


def everything() -> list[StagedRow]:
    return [
        legacy("model", claim=A, name="Model", tags=["x"], image="p1", on_disk=print_of(1)),
        legacy("copy", claim=A, name="copy", tags=["y"]),
        legacy("other", claim=A, name="Other", meta={"description": "other"}),
        legacy("waiting", name="Waiting", tags=["z"], copied="s.png", on_disk=print_of(2)),
        legacy("missing", name="Missing"),
    ]


class TestUnchanged:
    async def test_nothing_changes_at_all(self, catalogue: Catalogue, file: Path) -> None:
        first = await take(catalogue, *everything())
        before = dump(file)
        again = await take(catalogue, *everything())
        assert dump(file) == before
        assert takings(again) == 5 * [Taking.UNCHANGED]
        assert [(row.sha256, row.pending_id) for row in again] == [
            (row.sha256 if not row.pending_id else "", row.pending_id) for row in first
        ]
        assert not any(row.files or row.pending_image or row.wants_copy or row.wants_rendering for row in again)

    async def test_what_became_of_the_rows_meanwhile_is_left_alone(self, catalogue: Catalogue, file: Path) -> None:
        await take(catalogue, *everything())
        waiting = await the_row(catalogue, "/m/waiting.pt")
        await migrate(catalogue, order(waiting, B, image="p9"))
        await read(catalogue, "/m/model.pt", A, A)
        missing = await the_row(catalogue, "/m/missing.pt")
        await catalogue.drop_pending(missing.id)
        before = dump(file)
        assert set(takings(await take(catalogue, *everything()))) == {Taking.UNCHANGED}
        assert dump(file) == before

    async def test_a_tag_that_nobody_carries_any_more_does_not_come_back(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", tags=["x"]))
        before = await catalogue.tags()
        await take(catalogue, legacy("a", tags=["x", "new but unchanged"]))
        assert await catalogue.tags() == before

    async def test_another_source_is_another_source(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a"))
        (taken,) = await take(catalogue, legacy("a", "/m/b.pt"), source="/other")
        assert taken.taking is Taking.PENDING
        (taken,) = await take(catalogue, legacy("a", "/m/c.pt"), kind="other-kind")
        assert taken.taking is Taking.PENDING
        assert len(await catalogue.pending_imports()) == 3


class TestChanged:
    async def test_a_waiting_row_says_what_the_source_says_now(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Old", tags=["x"], copied="s.png", meta={"description": "old"}))
        before = await the_row(catalogue, "/m/a.pt")
        changed = legacy("a", digest="2", name="New", tags=["y"], copied="t.webp", meta={"description": "new"})
        (taken,) = await take(catalogue, changed)
        assert (taken.taking, taken.pending_id, taken.pending_image) == (
            Taking.UPDATED,
            before.id,
            f"{before.id}.webp",
        )
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.id, row.name, row.meta, row.image) == (before.id, "New", {"description": "new"}, f"{row.id}.webp")
        assert [tag.name for tag in row.tags] == ["x", "y"]
        assert takings(await take(catalogue, changed)) == [Taking.UNCHANGED]

    async def test_a_row_that_waits_keeps_its_image_when_the_new_one_cannot_be_used(
        self, catalogue: Catalogue
    ) -> None:
        await take(catalogue, legacy("a", copied="s.png"))
        await take(catalogue, legacy("a", digest="2", name="New"))
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.name, row.image) == ("New", f"{row.id}.png")

    async def test_a_row_whose_file_came_back_is_waiting(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a"))
        await take(catalogue, legacy("a", digest="2", on_disk=print_of(1)))
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.state, row.last_error) == (PendingState.WAITING, "")

    async def test_what_another_source_said_of_the_same_path_is_not_lost(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine", meta={"description": "mine", "rating": 5}, copied="a.png"))
        theirs = legacy("b", "/m/a.pt", base="SDXL", meta={"links": "l"})
        await take(catalogue, theirs, source="/other")
        await take(catalogue, legacy("b", "/m/a.pt", digest="2", base="Pony", meta={"links": "m"}), source="/other")
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.name, row.image) == ("Mine", f"{row.id}.png")
        assert row.meta.get("description") == "mine"
        assert row.meta.get("rating") == 5

    async def test_another_map_for_one_source_does_not_lose_what_another_source_said(
        self, catalogue: Catalogue
    ) -> None:
        await take(catalogue, legacy("a", name="Mine", meta={"description": "mine"}))
        await take(catalogue, legacy("b", "/m/a.pt", base="SDXL"), source="/other")
        await take(catalogue, legacy("b", "/n/a.pt", base="SDXL"), source="/other")
        assert "mine" in str([row.meta for row in await catalogue.pending_imports()])

    async def test_a_model_takes_in_what_is_new_and_loses_nothing(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], meta={"description": "mine"}))
        changed = legacy("a", digest="2", claim=A, name="Mine", tags=["y"], base="SDXL", meta={"links": "l"})
        (taken,) = await take(catalogue, changed)
        assert (taken.taking, taken.sha256) == (Taking.MERGED, A)
        model = await the_model(catalogue, A)
        assert (model.base, model.meta) == ("SDXL", {"description": "mine", "links": "l"})
        assert [tag.name for tag in model.tags] == ["x", "y"]
        assert takings(await take(catalogue, changed)) == [Taking.UNCHANGED]

    async def test_what_differs_from_a_model_waits_for_the_owner(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, meta={"description": "mine"}, on_disk=print_of(1)))
        before = await the_model(catalogue, A)
        (taken,) = await take(
            catalogue, legacy("a", digest="2", claim=A, meta={"description": "new"}, on_disk=print_of(1))
        )
        assert taken.taking is Taking.PENDING
        assert await the_model(catalogue, A) == before
        assert (await the_row(catalogue, "/m/a.pt")).meta == {"description": "new"}

    async def test_a_row_that_was_migrated_is_compared_with_its_model_by_hashing_again(
        self, catalogue: Catalogue
    ) -> None:
        await take(catalogue, legacy("a", name="Mine", on_disk=print_of(1)))
        row = await the_row(catalogue, "/m/a.pt")
        await migrate(catalogue, order(row, A))
        (taken,) = await take(catalogue, legacy("a", digest="2", name="New", on_disk=print_of(1)))
        assert taken.taking is Taking.PENDING
        assert taken.pending_id != row.id
        assert (await the_model(catalogue, A)).name == "Mine"


class TestAnotherMap:
    async def test_waiting_rows_wait_at_their_new_paths(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/wrong/a.pt", name="Mine", tags=["x"], copied="s.png"))
        before = await the_row(catalogue, "/wrong/a.pt")
        moved = legacy("a", "/m/a.pt", name="Mine", tags=["x"], on_disk=print_of(1), is_mapped=True)
        (taken,) = await take(catalogue, moved)
        assert (taken.taking, taken.pending_id, taken.wants_copy) == (Taking.UPDATED, before.id, False)
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.id, row.state, row.image) == (before.id, PendingState.WAITING, before.image)
        assert [tag.name for tag in row.tags] == ["x"]
        assert await catalogue.pending_by_path("/wrong/a.pt") is None
        assert takings(await take(catalogue, moved)) == [Taking.UNCHANGED]

    async def test_claims_that_were_never_seen_follow(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/wrong/a.pt", claim=A, name="Mine", image="p1"))
        moved = legacy("a", "/m/a.pt", claim=A, name="Mine", on_disk=print_of(1), is_mapped=True)
        (taken,) = await take(catalogue, moved)
        assert (taken.taking, taken.sha256) == (Taking.UPDATED, A)
        assert await paths_of(catalogue, A) == {"/m/a.pt": PRESENT}
        assert (await the_model(catalogue, A)).path == "/m/a.pt"
        (claim,) = await catalogue.claims(10)
        assert claim.path == "/m/a.pt"

    async def test_a_file_that_was_seen_stays_where_it_was_seen(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/m/a.pt", claim=A, on_disk=print_of(1)))
        await read(catalogue, "/m/a.pt", A, A)
        (taken,) = await take(catalogue, legacy("a", "/wrong/a.pt", claim=A, is_mapped=True))
        assert taken.taking is Taking.UNCHANGED
        assert await paths_of(catalogue, A) == {"/m/a.pt": PRESENT}

    async def test_a_claim_does_not_take_the_path_of_another_content(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/wrong/a.pt", claim=A))
        place = await hashed(catalogue, "/m/a.pt", B)
        await take(catalogue, legacy("a", "/m/a.pt", claim=A, on_disk=print_of(1), is_mapped=True))
        assert await location_at(catalogue, "/m/a.pt") == place
        assert (await the_model(catalogue, A)).sha256 == A

    async def test_a_row_whose_new_path_waits_already_loses_nothing(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/wrong/a.pt", name="Mine"), legacy("b", "/m/a.pt", name="Theirs"))
        await take(catalogue, legacy("a", "/m/a.pt", name="Mine", is_mapped=True))
        assert {row.name for row in await catalogue.pending_imports()} == {"Mine", "Theirs"}

    async def test_rows_that_swap_their_paths_lose_nothing(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", "/m/1.pt", name="Mine"), legacy("b", "/m/2.pt", name="Theirs"))
        await take(catalogue, legacy("a", "/m/2.pt", name="Mine"), legacy("b", "/m/1.pt", name="Theirs"))
        assert {row.name for row in await catalogue.pending_imports()} == {"Mine", "Theirs"}
