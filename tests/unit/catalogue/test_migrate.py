"""Migrations in the database: every action, many in one transaction, and all or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.detection import Rename
from modelkeep.domain.migration import MigrationResult, Outcome
from modelkeep.domain.values import (
    Action,
    ImageRow,
    Location,
    LocationState,
    Model,
    PendingImport,
    PendingState,
    Strategy,
    TierFile,
)
from modelkeep.errors import JournalError

from .conftest import (
    NOW,
    A,
    B,
    C,
    dated,
    dump,
    execute,
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

PRESENT = LocationState.PRESENT


async def described(
    catalogue: Catalogue, name: str, tags: Sequence[str] | None = None, **values: Any
) -> PendingImport:
    """Queue a file of which a legacy source knows something."""
    values = {"name": f"name of {name}", **values}
    carried = [f"tag of {name}"] if tags is None else tags
    await take(catalogue, legacy(name, tags=carried, on_disk=print_of(1), copied="x.png", **values))
    return await the_row(catalogue, f"/m/{name}.pt")


async def existing(catalogue: Catalogue) -> Model:
    """Make a model with a name, a tag and an image."""
    row = await described(catalogue, "mine", meta={"description": "mine"}, type="style", created_at=5)
    await migrate(catalogue, order(row, A, image="p1"))
    return await the_model(catalogue, A)


def files_of(sha256: str, seq: int, digest: str) -> tuple[TierFile, ...]:
    return tuple(TierFile(f"{digest}_{q}.webp", f"{sha256}_{seq}_{q}.webp") for q in ("high", "medium", "low"))


async def images_of(catalogue: Catalogue, sha256: str) -> list[tuple[int, str]]:
    details = await catalogue.model(sha256)
    assert details is not None
    return [(image.seq, image.source_digest) for image in details.images]


async def tags_of(catalogue: Catalogue, sha256: str) -> list[str]:
    return [tag.name for tag in (await the_model(catalogue, sha256)).tags]


class TestANewContent:
    async def test_the_row_becomes_a_model_with_all_that_it_knew(self, catalogue: Catalogue, file: Path) -> None:
        meta = {"description": "d", "odd": [1, None]}
        row = await described(catalogue, "a", tags=["x", "y"], type="style", base="SDXL", created_at=77, meta=meta)
        (result,) = await migrate(catalogue, order(row, A, image="p1"))
        assert (result.outcome, result.files) == (Outcome.DONE, files_of(A, 0, "p1"))
        assert result.pending == row
        assert result.decision is not None
        assert result.decision.action is Action.CREATED
        details = await catalogue.model(A)
        assert details is not None
        assert details.model == Model(
            A, "/m/a.pt", 10, tags=row.tags, name="name of a", type="style", base="SDXL", created_at=77, meta=meta
        )
        assert details.images == (ImageRow(A, 0, 64, 48, "p1"),)
        assert details.locations == (Location("/m/a.pt", A, PRESENT, print_of(row.id), False, NOW + 1, NOW + 1),)
        assert await catalogue.pending_imports() == []
        assert rows_of(file, "SELECT * FROM pending_model_tags") == []

    async def test_a_stranger_becomes_a_model_named_after_its_file(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/loras/a.pt")
        await migrate(catalogue, order(row, A))
        model = await the_model(catalogue, A)
        assert (model.name, model.type, model.size_bytes, model.created_at) == ("a.pt", "loras", 10, NOW)

    async def test_a_image_that_cannot_be_used_is_noted_and_does_not_hold_the_model_back(
        self, catalogue: Catalogue
    ) -> None:
        row = await described(catalogue, "a")
        (result,) = await migrate(catalogue, order(row, A, refused="it is a text"))
        assert (result.outcome, result.files) == (Outcome.DONE, ())
        details = await catalogue.model(A)
        assert details is not None
        assert [(refused.file, refused.reason) for refused in details.refused] == [(row.image, "it is a text")]
        assert details.images == ()
        assert await catalogue.pending_images() == {row.image}


class TestAKnownContent:
    async def test_merge_fills_what_is_empty_and_adds_the_image_and_the_tags(self, catalogue: Catalogue) -> None:
        mine = await existing(catalogue)
        row = await described(catalogue, "b", base="SDXL", meta={"description": "theirs", "links": "x"})
        (result,) = await migrate(catalogue, order(row, A, Strategy.MERGE, image="p2"))
        assert (result.outcome, result.files) == (Outcome.DONE, files_of(A, 1, "p2"))
        model = await the_model(catalogue, A)
        assert model == mine.evolve(
            base="SDXL", meta={"description": "mine", "links": "x"}, tags=model.tags, path=mine.path
        )
        assert await tags_of(catalogue, A) == ["tag of b", "tag of mine"]
        assert await images_of(catalogue, A) == [(0, "p1"), (1, "p2")]
        assert await paths_of(catalogue, A) == {"/m/mine.pt": PRESENT, "/m/b.pt": PRESENT}
        assert await catalogue.pending_imports() == []

    async def test_merge_does_not_store_the_same_image_twice(self, catalogue: Catalogue) -> None:
        await existing(catalogue)
        row = await described(catalogue, "b")
        (result,) = await migrate(catalogue, order(row, A, Strategy.MERGE, image="p1"))
        assert (result.outcome, result.files) == (Outcome.DONE, ())
        assert await images_of(catalogue, A) == [(0, "p1")]

    async def test_override_replaces_values_and_the_first_image(self, catalogue: Catalogue) -> None:
        mine = await existing(catalogue)
        row = await described(catalogue, "b", meta={"description": "theirs"}, created_at=99)
        (result,) = await migrate(catalogue, order(row, A, Strategy.OVERRIDE, image="p2"))
        assert (result.outcome, result.files) == (Outcome.DONE, files_of(A, 0, "p2"))
        model = await the_model(catalogue, A)
        assert (model.name, model.meta, model.created_at) == ("name of b", {"description": "theirs"}, 99)
        assert (model.type, model.path, model.size_bytes) == (mine.type, mine.path, mine.size_bytes)
        assert await tags_of(catalogue, A) == ["tag of b", "tag of mine"]
        assert await images_of(catalogue, A) == [(0, "p2")]

    async def test_delete_removes_the_row_and_keeps_its_path(self, catalogue: Catalogue) -> None:
        mine = await existing(catalogue)
        row = await described(catalogue, "b")
        (result,) = await migrate(catalogue, order(row, A, Strategy.DELETE))
        assert (result.outcome, result.files) == (Outcome.DONE, ())
        assert await the_model(catalogue, A) == mine
        assert await images_of(catalogue, A) == [(0, "p1")]
        assert await catalogue.pending_imports() == []
        assert set(await paths_of(catalogue, A)) == {"/m/mine.pt", "/m/b.pt"}

    @pytest.mark.parametrize(
        ("strategy", "action"),
        [
            (Strategy.IGNORE, Action.IGNORED),
            (Strategy.ASK, Action.CONFLICTED),
            (Strategy.AUTO, Action.CONFLICTED),
        ],
    )
    async def test_both_sides_stay_and_the_row_says_why(
        self, catalogue: Catalogue, strategy: Strategy, action: Action
    ) -> None:
        mine = await existing(catalogue)
        row = await described(catalogue, "b", meta={"description": "theirs"})
        (result,) = await migrate(catalogue, order(row, A, strategy))
        assert (result.outcome, result.files) == (Outcome.CONFLICTED, ())
        assert result.decision is not None
        assert result.decision.action is action
        assert await the_model(catalogue, A) == mine
        after = await the_row(catalogue, "/m/b.pt")
        assert after == row.evolve(state=PendingState.CONFLICT, sha256=A, verified=True, last_error=after.last_error)
        assert "name of mine" in after.last_error
        assert set(await paths_of(catalogue, A)) == {"/m/mine.pt", "/m/b.pt"}
        assert result.order.migration not in await catalogue.committed_migrations()

    async def test_the_owner_reads_what_differs(self, catalogue: Catalogue) -> None:
        await existing(catalogue)
        row = await described(catalogue, "b", meta={"description": "theirs"})
        await migrate(catalogue, order(row, A))
        assert "these differ: name, description" in (await the_row(catalogue, "/m/b.pt")).last_error

    async def test_a_row_that_was_parked_is_migrated_by_a_strategy_that_the_owner_chose(
        self, catalogue: Catalogue
    ) -> None:
        await existing(catalogue)
        row = await described(catalogue, "b")
        await migrate(catalogue, order(row, A, Strategy.ASK))
        (result,) = await migrate(catalogue, order(row, A, Strategy.MERGE, image="p2"))
        assert result.outcome is Outcome.DONE
        assert await catalogue.pending_imports() == []

    @pytest.mark.parametrize("strategy", Strategy)
    async def test_a_copy_that_nobody_described_becomes_a_location(
        self, catalogue: Catalogue, strategy: Strategy
    ) -> None:
        mine = await existing(catalogue)
        (row,) = await queue(catalogue, "/m/copy.pt")
        (result,) = await migrate(catalogue, order(row, A, strategy))
        assert result.outcome is Outcome.DONE
        assert await the_model(catalogue, A) == mine
        assert set(await paths_of(catalogue, A)) == {"/m/mine.pt", "/m/copy.pt"}

    async def test_a_model_whose_files_were_missing_has_its_main_path_where_it_is_now(
        self, catalogue: Catalogue
    ) -> None:
        await existing(catalogue)
        await catalogue.set_missing(["/m/mine.pt"], "gone", NOW)
        (row,) = await queue(catalogue, "/m/new.pt")
        await migrate(catalogue, order(row, A))
        assert (await the_model(catalogue, A)).path == "/m/new.pt"


class TestWhatCannotBeDoneNow:
    async def test_a_row_that_is_gone(self, catalogue: Catalogue, file: Path) -> None:
        row = await described(catalogue, "a")
        await catalogue.drop_pending(row.id)
        before = dump(file)
        (result,) = await migrate(catalogue, order(row, A))
        assert (result.outcome, result.pending) == (Outcome.GONE, None)
        assert dump(file) == before

    async def test_a_row_whose_file_was_renamed_meanwhile(self, catalogue: Catalogue, file: Path) -> None:
        row = await described(catalogue, "a")
        await catalogue.move_paths([Rename("/m/a.pt", "/m/b.pt")], NOW)
        before = dump(file)
        (result,) = await migrate(catalogue, order(row, A))
        assert result.outcome is Outcome.MOVED
        assert dump(file) == before

    @pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.MERGE, Strategy.OVERRIDE])
    async def test_a_row_whose_image_was_not_rendered_for_nobody_knew_of_it(
        self, catalogue: Catalogue, file: Path, strategy: Strategy
    ) -> None:
        row = await described(catalogue, "a")
        before = dump(file)
        (result,) = await migrate(catalogue, order(row, A, strategy))
        assert result.outcome is Outcome.NEEDS_IMAGE
        assert dump(file) == before

    @pytest.mark.parametrize("strategy", [Strategy.DELETE, Strategy.IGNORE, Strategy.ASK])
    async def test_no_image_is_needed_where_none_is_stored(self, catalogue: Catalogue, strategy: Strategy) -> None:
        await existing(catalogue)
        row = await described(catalogue, "b")
        (result,) = await migrate(catalogue, order(row, A, strategy))
        assert result.outcome in (Outcome.DONE, Outcome.CONFLICTED)


class TestManyTogether:
    async def test_they_share_one_transaction(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, *(f"/m/{number}.pt" for number in range(300)))
        seen: list[int] = []
        orders = [order(row, f"{row.id:064x}") for row in rows]
        results = await migrate(catalogue, *orders, before_commit=lambda results: seen.append(len(results)))
        assert [result.outcome for result in results] == 300 * [Outcome.DONE]
        assert [result.order for result in results] == orders
        assert seen == [300]
        assert (await catalogue.counts())["models"] == 300

    async def test_one_that_the_database_refuses_does_not_take_the_others_with_it(
        self, catalogue: Catalogue, file: Path
    ) -> None:
        refuse = f"BEFORE INSERT ON models WHEN NEW.sha256 = '{B}' BEGIN SELECT RAISE(ABORT, 'enough'); END"
        execute(file, f"CREATE TRIGGER refuse {refuse}")
        rows = [await described(catalogue, name) for name in "abc"]
        orders = [order(row, sha, image=f"p{sha[0]}") for row, sha in zip(rows, (A, B, C), strict=True)]
        results = await migrate(catalogue, *orders)
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.FAILED, Outcome.DONE]
        assert "enough" in results[1].error
        assert [row.id for row in await catalogue.pending_imports()] == [rows[1].id]
        assert [tag.name for tag in (await the_row(catalogue, "/m/b.pt")).tags] == ["tag of b"]
        assert set(await catalogue.committed_migrations()) == {f"migration-{rows[0].id}", f"migration-{rows[2].id}"}
        assert [model.sha256 for model, _ in await catalogue.models()] == [A, C]

    async def test_a_file_of_the_far_future_does_not_take_the_others_with_it(
        self, catalogue: Catalogue, tmp_path: Path
    ) -> None:
        """Its date does not fit the signed 64 bits of a column."""
        rows = await queue(catalogue, "/m/a.pt", "/m/b.pt")
        future = dated(tmp_path / "a.pt", seconds=10_000_000_000)
        results = await migrate(catalogue, order(rows[0], A, fingerprint=future), order(rows[1], B))
        assert results[1].outcome is Outcome.DONE
        assert results[0].outcome in (Outcome.DONE, Outcome.FAILED)

    async def test_content_that_gives_way_to_other_content_in_the_same_batch(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        rows = await queue(catalogue, "/m/a.pt", "/m/b.pt")
        results = await migrate(catalogue, order(rows[0], B), order(rows[1], A))
        assert [(result.outcome, result.displaced) for result in results] == [(Outcome.DONE, A), (Outcome.DONE, "")]
        assert await paths_of(catalogue, A) == {"/m/b.pt": PRESENT}
        assert await paths_of(catalogue, B) == {"/m/a.pt": PRESENT}
        assert (await the_model(catalogue, A)).path == "/m/b.pt"


class TestAllOrNothing:
    async def test_when_the_plans_cannot_be_journalled_nothing_has_happened(
        self, catalogue: Catalogue, file: Path
    ) -> None:
        row = await described(catalogue, "a")
        await catalogue.committed_migrations()
        before = dump(file)

        def fail(_: Sequence[MigrationResult]) -> None:
            raise JournalError("the disk is full")

        with pytest.raises(JournalError, match="disk is full"):
            await migrate(catalogue, order(row, A, image="p1"), before_commit=fail)
        assert dump(file) == before
        (result,) = await migrate(catalogue, order(row, A, image="p1"))
        assert result.outcome is Outcome.DONE

    async def test_the_results_are_known_before_the_commit(self, catalogue: Catalogue, file: Path) -> None:
        row = await described(catalogue, "a")
        seen: list[tuple[Outcome, tuple[TierFile, ...], int]] = []

        def note(results: Sequence[MigrationResult]) -> None:
            (models,) = rows_of(file, "SELECT count(*) FROM models")
            seen.extend((result.outcome, result.files, models[0]) for result in results)

        await migrate(catalogue, order(row, A, image="p1"), before_commit=note)
        assert seen == [(Outcome.DONE, files_of(A, 0, "p1"), 0)]


class TestIdsOfMigrations:
    async def test_a_committed_migration_is_known_until_its_end_is_durable(self, catalogue: Catalogue) -> None:
        rows = [await described(catalogue, name) for name in "abc"]
        first, second, third = (order(row, f"{row.id:064x}", image=f"p{row.id}") for row in rows)
        await migrate(catalogue, first, second)
        assert set(await catalogue.committed_migrations()) == {first.migration, second.migration}
        await migrate(catalogue, third, finished=[first.migration])
        assert set(await catalogue.committed_migrations()) == {second.migration, third.migration}
        await catalogue.forget_migrations([second.migration, third.migration, "unknown"])
        assert await catalogue.committed_migrations() == {}

    async def test_it_tells_what_is_left_to_do(self, catalogue: Catalogue) -> None:
        row = await described(catalogue, "a")
        await migrate(catalogue, order(row, A, image="p1"))
        files = [{"staged": file.staged, "final": file.final} for file in files_of(A, 0, "p1")]
        (left,) = (await catalogue.committed_migrations()).values()
        assert left == {"files": files, "image": row.image}

    async def test_the_original_of_a_image_that_could_not_be_used_is_not_to_be_removed(
        self, catalogue: Catalogue
    ) -> None:
        row = await described(catalogue, "a")
        await migrate(catalogue, order(row, A, refused="it is a text"))
        (left,) = (await catalogue.committed_migrations()).values()
        assert left["image"] == ""

    async def test_finished_ones_are_kept_when_the_next_batch_is_rolled_back(self, catalogue: Catalogue) -> None:
        first, second = await described(catalogue, "a"), await described(catalogue, "b")
        await migrate(catalogue, order(first, A, image="p1"))

        def fail(_: Sequence[MigrationResult]) -> None:
            raise JournalError("the disk is full")

        done = [f"migration-{first.id}"]
        with pytest.raises(JournalError):
            await migrate(catalogue, order(second, B, image="p2"), finished=done, before_commit=fail)
        assert list(await catalogue.committed_migrations()) == done

    async def test_thousands_are_forgotten_at_once(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, *(f"/m/{number}.pt" for number in range(1_200)))
        orders = [order(row, f"{row.id:064x}") for row in rows]
        await migrate(catalogue, *orders)
        assert len(await catalogue.committed_migrations()) == 1_200
        await catalogue.forget_migrations([each.migration for each in orders])
        assert await catalogue.committed_migrations() == {}


class TestPreview:
    async def test_it_says_what_a_migration_would_do_and_does_nothing(self, catalogue: Catalogue, file: Path) -> None:
        mine = await described(catalogue, "mine")
        first = order(mine, A)
        assert (await catalogue.preview([first]))[first.migration].action is Action.CREATED
        await migrate(catalogue, order(mine, A, image="p1"))
        row = await described(catalogue, "b", meta={"description": "theirs"})
        before = dump(file)
        asked = {strategy: replace(order(row, A, strategy), migration=strategy.value) for strategy in Strategy}
        told = await catalogue.preview([*asked.values()])
        assert {strategy: told[each.migration].action for strategy, each in asked.items()} == {
            Strategy.AUTO: Action.CONFLICTED,
            Strategy.MERGE: Action.MERGED,
            Strategy.OVERRIDE: Action.OVERRIDDEN,
            Strategy.DELETE: Action.DELETED,
            Strategy.IGNORE: Action.IGNORED,
            Strategy.ASK: Action.CONFLICTED,
        }
        assert dump(file) == before

    async def test_of_a_row_that_is_gone_it_says_nothing(self, catalogue: Catalogue) -> None:
        row = await described(catalogue, "a")
        await catalogue.drop_pending(row.id)
        assert await catalogue.preview([order(row, A)]) == {}
