"""Stage 1 in the database: the first import of a source, claims, and rows that meet what is known."""

import time
from pathlib import Path

import pytest
from tests.fakes import location_at

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.claims import Reading
from modelkeep.domain.legacy import LegacyTag, TakenRow, TakenRows, Taking
from modelkeep.domain.migration import Outcome
from modelkeep.domain.values import LocationState, Model, PendingState, TierFile
from modelkeep.errors import JournalError

from .conftest import (
    NOT_UTF8,
    NOW,
    A,
    B,
    dump,
    hashed,
    legacy,
    migrate,
    order,
    paths_of,
    print_of,
    queue,
    rows_of,
    take,
    takings,
    the_model,
    the_row,
)

PRESENT, MISSING = LocationState.PRESENT, LocationState.MISSING


class TestAFreshRow:
    async def test_without_a_hash_it_waits_with_all_that_is_known(self, catalogue: Catalogue) -> None:
        meta = {"description": "d", "unknown": [1, {"deep": None}]}
        row = legacy(
            "a",
            name="Mine",
            type="lora",
            base="SDXL",
            size_bytes=77,
            created_at=5,
            meta=meta,
            tags=["x", "y"],
            copied="staged-1.jpeg",
            on_disk=print_of(1),
        )
        (taken,) = await take(catalogue, row)
        pending = await the_row(catalogue, "/m/a.pt")
        assert taken == TakenRow(
            row.row,
            Taking.PENDING,
            pending_id=pending.id,
            pending_image=f"{pending.id}.jpeg",
            wants_copy=True,
        )
        assert (pending.name, pending.type, pending.base, pending.meta) == ("Mine", "lora", "SDXL", meta)
        assert (pending.size_bytes, pending.created_at, pending.source) == (77, 5, "hikaze-v1")
        assert (pending.state, pending.due_at, pending.image) == (PendingState.WAITING, NOW, f"{pending.id}.jpeg")
        assert [tag.name for tag in pending.tags] == ["x", "y"]

    async def test_whose_file_is_not_there_waits_as_missing(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a"))
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.state, row.last_error) == (PendingState.MISSING, "there is no file at /m/a.pt")

    async def test_with_a_hash_it_is_a_model_at_once_and_its_hash_a_claim(self, catalogue: Catalogue) -> None:
        row = legacy(
            "a",
            claim=A,
            name="Mine",
            type="lora",
            base="SDXL",
            size_bytes=77,
            created_at=5,
            meta={"description": "d"},
            tags=["x"],
            image="p1",
            on_disk=print_of(1),
        )
        (taken,) = await take(catalogue, row)
        details = await catalogue.model(A)
        assert details is not None
        assert details.model == Model(
            A,
            "/m/a.pt",
            77,
            tags=details.model.tags,
            name="Mine",
            type="lora",
            base="SDXL",
            created_at=5,
            meta={"description": "d"},
        )
        assert [tag.name for tag in details.model.tags] == ["x"]
        assert [(image.seq, image.source_digest) for image in details.images] == [(0, "p1")]
        assert [(place.path, place.state, place.claimed, place.fingerprint) for place in details.locations] == [
            ("/m/a.pt", PRESENT, True, print_of(1))
        ]
        assert taken.taking is Taking.MODEL
        assert taken.wants_rendering
        assert taken.files == tuple(
            TierFile(f"p1_{quality}.webp", f"{A}_0_{quality}.webp") for quality in ("high", "medium", "low")
        )
        assert set(await catalogue.committed_migrations()) == {taken.migration}
        assert await catalogue.pending_imports() == []

    async def test_with_a_hash_but_no_file_its_location_is_missing(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A))
        assert await paths_of(catalogue, A) == {"/m/a.pt": MISSING}

    async def test_without_a_name_it_is_called_like_its_file(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A))
        assert (await the_model(catalogue, A)).name == "a.pt"

    async def test_without_a_image_nothing_is_published(self, catalogue: Catalogue) -> None:
        taken = await take(catalogue, legacy("a", claim=A), legacy("b"))
        assert [(row.files, row.migration, row.pending_image) for row in taken] == 2 * [((), "", "")]
        assert not any(row.wants_rendering or row.wants_copy for row in taken)
        assert await catalogue.committed_migrations() == {}

    async def test_rows_come_back_in_the_order_in_which_they_were_handed_in(self, catalogue: Catalogue) -> None:
        rows = [legacy("c"), legacy("a", claim=A), legacy("b", path="/m/c.pt"), legacy("d", claim=A)]
        taken = await take(catalogue, *rows)
        assert [row.row.key for row in taken] == ["c", "a", "b", "d"]


class TestTags:
    async def test_tags_are_shared_and_keep_their_colours(self, catalogue: Catalogue) -> None:
        red = LegacyTag("x", "#ff0000", 5)
        await take(catalogue, legacy("a", tags=[red]), legacy("b", claim=A, tags=[red, LegacyTag("y")]))
        tags = {tag.name: (tag.color, tag.created_at) for tag in await catalogue.tags()}
        assert tags == {"x": ("#ff0000", 5), "y": ("", 0)}

    async def test_a_colour_that_is_set_is_kept(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", tags=[LegacyTag("x", "#ff0000")]))
        await take(catalogue, legacy("b", tags=[LegacyTag("x", "#0000ff")]), source="/other")
        await take(catalogue, legacy("c", tags=[LegacyTag("x")]), source="/third")
        assert [tag.color for tag in await catalogue.tags()] == ["#ff0000"]

    async def test_a_colour_fills_a_tag_that_has_none(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", tags=["x"]))
        await take(catalogue, legacy("b", tags=[LegacyTag("x", "#0000ff")]), source="/other")
        assert [tag.color for tag in await catalogue.tags()] == ["#0000ff"]

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_of_one_source_the_row_that_knows_the_colour_counts(
        self, catalogue: Catalogue, reverse: bool
    ) -> None:
        rows = [legacy("a", tags=[LegacyTag("x", "#ff0000")]), legacy("b", tags=["x"])]
        await take(catalogue, *(reversed(rows) if reverse else rows))
        assert [tag.color for tag in await catalogue.tags()] == ["#ff0000"]


class TestOneClaimSeveralTimes:
    async def test_a_copy_that_says_nothing_new_is_another_path_of_the_model(self, catalogue: Catalogue) -> None:
        rows = [legacy("a", claim=A, name="Mine", tags=["x"]), legacy("b", claim=A, name="b", tags=["y"])]
        taken = await take(catalogue, *rows)
        assert takings(taken) == [Taking.MODEL, Taking.MERGED]
        assert await paths_of(catalogue, A) == {"/m/a.pt": MISSING, "/m/b.pt": MISSING}
        model = await the_model(catalogue, A)
        assert (model.name, [tag.name for tag in model.tags]) == ("Mine", ["x", "y"])

    async def test_a_copy_that_says_otherwise_waits_for_the_owner(self, catalogue: Catalogue) -> None:
        rows = [
            legacy("a", claim=A, name="Mine", meta={"description": "mine"}),
            legacy("b", claim=A, name="Theirs", meta={"description": "theirs"}, on_disk=print_of(2)),
        ]
        taken = await take(catalogue, *rows)
        assert takings(taken) == [Taking.MODEL, Taking.PENDING]
        assert (await the_model(catalogue, A)).meta == {"description": "mine"}
        row = await the_row(catalogue, "/m/b.pt")
        assert (row.sha256, row.name, row.meta) == (A, "Theirs", {"description": "theirs"})

    async def test_their_images_get_sequences_of_their_own_and_none_twice(self, catalogue: Catalogue) -> None:
        rows = [legacy(name, claim=A, image=digest) for name, digest in (("a", "p1"), ("b", "p2"), ("c", "p1"))]
        taken = await take(catalogue, *rows)
        assert [[file.final for file in row.files][:1] for row in taken] == [
            [f"{A}_0_high.webp"],
            [f"{A}_1_high.webp"],
            [],
        ]
        details = await catalogue.model(A)
        assert details is not None
        assert [(image.seq, image.source_digest) for image in details.images] == [(0, "p1"), (1, "p2")]


class TestWhatMeetsTheKnown:
    async def test_a_claim_on_a_hashed_model_merges_into_it(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        (taken,) = await take(catalogue, legacy("old", "/m/old.pt", claim=A, name="Mine", tags=["x"]))
        assert (taken.taking, taken.sha256) == (Taking.MERGED, A)
        model = await the_model(catalogue, A)
        assert (model.name, [tag.name for tag in model.tags], model.path) == ("Mine", ["x"], "/m/a.pt")
        assert await paths_of(catalogue, A) == {"/m/a.pt": PRESENT, "/m/old.pt": MISSING}

    async def test_what_the_owner_knows_of_a_model_is_not_overwritten(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", meta={"description": "mine"}))
        before = await the_model(catalogue, A)
        other = legacy("b", "/m/b.pt", claim=A, name="Theirs", meta={"description": "theirs"})
        assert takings(await take(catalogue, other, source="/other")) == [Taking.PENDING]
        assert await the_model(catalogue, A) == before

    async def test_a_row_for_a_stranger_in_the_queue_tells_what_it_is(self, catalogue: Catalogue) -> None:
        (stranger,) = await queue(catalogue, "/m/a.pt")
        (taken,) = await take(catalogue, legacy("a", name="Mine", tags=["x"], copied="s.png", on_disk=print_of(1)))
        row = await the_row(catalogue, "/m/a.pt")
        assert (taken.pending_id, row.id) == (stranger.id, stranger.id)
        assert (row.name, row.source, row.image) == ("Mine", "hikaze-v1", f"{row.id}.png")
        assert not row.knows_nothing

    async def test_two_descriptions_of_one_path_are_joined_and_neither_is_lost(self, catalogue: Catalogue) -> None:
        first = legacy("a", name="Mine", meta={"description": "mine"}, tags=["x"], copied="a.png")
        second = legacy(
            "b", "/m/a.pt", name="Theirs", base="SDXL", meta={"description": "theirs", "links": "l"}, tags=["y"]
        )
        await take(catalogue, first)
        await take(catalogue, second, source="/other")
        (row,) = await catalogue.pending_imports()
        assert (row.name, row.base, row.image) == ("Mine", "SDXL", f"{row.id}.png")
        assert row.meta["description"] == "mine"
        assert row.meta["links"] == "l"
        assert "theirs" in str(row.meta)
        assert [tag.name for tag in row.tags] == ["x", "y"]

    async def test_two_rows_of_one_source_for_one_path_are_joined(self, catalogue: Catalogue) -> None:
        rows = [legacy("a", "/m/x.pt", name="Mine"), legacy("b", "/m/x.pt", base="SDXL", tags=["y"])]
        taken = await take(catalogue, *rows)
        (row,) = await catalogue.pending_imports()
        assert [each.pending_id for each in taken] == [row.id, row.id]
        assert (row.name, row.base, [tag.name for tag in row.tags]) == ("Mine", "SDXL", ["y"])

    async def test_a_claim_for_a_file_that_waits_leaves_it_to_be_hashed(self, catalogue: Catalogue) -> None:
        (stranger,) = await queue(catalogue, "/m/a.pt")
        await take(catalogue, legacy("a", claim=A, name="Mine", on_disk=print_of(1)))
        assert await the_row(catalogue, "/m/a.pt") == stranger
        (result,) = await migrate(catalogue, order(stranger, A))
        assert result.outcome is Outcome.CLAIMED
        reading = Reading("/m/a.pt", A, print_of(1), pending_id=stranger.id)
        assert (await catalogue.judge_claims(reading, None, "", [], NOW, lambda _: None)).confirmed == A
        await migrate(catalogue, order(stranger, A))
        assert (await the_model(catalogue, A)).name == "Mine"
        place = await location_at(catalogue, "/m/a.pt")
        assert place is not None
        assert not place.claimed

    async def test_a_claim_does_not_take_a_path_from_the_content_that_was_hashed_there(
        self, catalogue: Catalogue
    ) -> None:
        place = await hashed(catalogue, "/m/a.pt", A)
        (taken,) = await take(catalogue, legacy("a", claim=B, name="Mine"))
        assert await location_at(catalogue, "/m/a.pt") == place
        assert (taken.taking, taken.found) == (Taking.PENDING, A)
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.name, row.sha256) == ("Mine", "")

    async def test_a_row_for_a_path_that_is_known_waits_and_its_image_too(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        (taken,) = await take(catalogue, legacy("a", name="Mine", copied="s.png", on_disk=print_of(1)))
        assert taken.taking is Taking.PENDING
        row = await the_row(catalogue, "/m/a.pt")
        assert (row.name, taken.pending_image) == ("Mine", f"{row.id}.png")


class TestADryRun:
    ROWS = (
        legacy("a", claim=A, name="Mine", tags=["x"], image="p1"),
        legacy("b", tags=["y"], copied="s.png"),
        legacy("c", claim=A, name="Theirs"),
        legacy("d", "/m/known.pt", name="D", claim=B),
    )

    async def test_it_leaves_the_catalogue_as_it_was(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, "/m/known.pt", B)
        before = dump(file)
        await take(catalogue, *self.ROWS, dry_run=True)
        assert dump(file) == before

    async def test_it_says_what_would_happen(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/known.pt", B)
        dry = await take(catalogue, *self.ROWS, dry_run=True)
        real = await take(catalogue, *self.ROWS)
        assert takings(dry) == takings(real)
        assert [row.pending_id for row in dry] == [row.pending_id for row in real]

    async def test_it_tells_which_images_are_needed_before_any_is_made(self, catalogue: Catalogue) -> None:
        bare = [legacy("a", claim=A), legacy("b"), legacy("c", claim=A, name="Theirs", meta={"d": 1})]
        with_image = [
            legacy(row.row.key, claim=row.row.claim, name=row.row.name, meta=row.row.meta, copied="x.png")
            for row in bare
        ]
        dry = await take(catalogue, *with_image, dry_run=True)
        assert [(row.wants_rendering, row.wants_copy) for row in dry] == [(True, False), (False, True), (True, False)]

    async def test_nobody_is_asked_before_the_commit_for_there_is_none(self, catalogue: Catalogue) -> None:
        asked: list[object] = []
        await take(catalogue, *self.ROWS, dry_run=True, before_commit=asked.append)
        assert asked == []


class TestAllOrNothing:
    async def test_when_the_last_step_before_the_commit_fails_nothing_has_happened(
        self, catalogue: Catalogue, file: Path
    ) -> None:
        before = dump(file)

        def fail(_: TakenRows) -> None:
            raise JournalError("the disk is full")

        rows = [legacy("a", claim=A, image="p1", tags=["x"]), legacy("b", copied="s.png", tags=["y"])]
        with pytest.raises(JournalError, match="disk is full"):
            await take(catalogue, *rows, before_commit=fail)
        assert dump(file) == before

    async def test_nothing_is_visible_before_the_commit(self, catalogue: Catalogue, file: Path) -> None:
        before = dump(file)
        seen: list[bool] = []
        rows = [legacy("a", claim=A), legacy("b")]
        await take(
            catalogue, *rows, before_commit=lambda taken: seen.append(dump(file) == before and len(taken.plain) == 2)
        )
        assert seen == [True]


class TestOddPaths:
    async def test_paths_that_are_no_utf8_come_back_as_they_were(self, catalogue: Catalogue) -> None:
        rows = [legacy("a", NOT_UTF8, name="N\udcff"), legacy("b", f"{NOT_UTF8}/b", claim=A)]
        await take(catalogue, *rows, source="/old/caf\udce9.sqlite3")
        assert (await the_row(catalogue, NOT_UTF8)).name == "N\udcff"
        assert await paths_of(catalogue, A) == {f"{NOT_UTF8}/b": MISSING}
        again = await take(catalogue, *rows, source="/old/caf\udce9.sqlite3")
        assert takings(again) == [Taking.UNCHANGED, Taking.UNCHANGED]

    async def test_keys_may_be_paths_that_are_no_utf8(self, catalogue: Catalogue) -> None:
        row = legacy(NOT_UTF8, NOT_UTF8, digest="d")
        await take(catalogue, row)
        assert takings(await take(catalogue, row)) == [Taking.UNCHANGED]


async def test_twenty_thousand_rows_take_a_few_seconds(catalogue: Catalogue, file: Path) -> None:
    tags = [f"tag {number}" for number in range(50)]
    rows = [
        legacy(
            str(number),
            f"/m/loras/{number % 100}/model {number}.safetensors",
            claim=f"{number:064x}" if number % 2 else "",
            name=f"Model {number}",
            tags=tags[number % 50 : number % 50 + 3],
            meta={"description": "x" * 200, "prompts": {"positive": "a", "negative": "b"}},
        )
        for number in range(20_000)
    ]
    began = time.process_time()
    await take(catalogue, *rows)
    assert time.process_time() - began < 30
    assert rows_of(file, "SELECT count(*) FROM models") == rows_of(file, "SELECT count(*) FROM pending_import")
    began = time.process_time()
    assert set(takings(await take(catalogue, *rows))) == {Taking.UNCHANGED}
    assert time.process_time() - began < 12
