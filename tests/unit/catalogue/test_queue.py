"""The queue: rows of detection, what is due, what waits again, and ids that are never used twice."""

from pathlib import Path

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.detection import Found, Rename
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, SourceRecord
from modelkeep.domain.naming import Root
from modelkeep.domain.parking import Parked
from modelkeep.domain.planning import outcomes
from modelkeep.domain.values import LocationState, PendingImport, PendingState, Strategy

from .conftest import NOW, ROOTS, A, hashed, legacy, migrate, order, paths_of, print_of, queue, rows_of, take, the_row


async def park(catalogue: Catalogue, row: PendingImport, state: PendingState, due_at: int = NOW) -> list[Parked]:
    return await catalogue.park([Parked(row.id, row.path, state, "because", due_at, attempts=3)])


async def described(catalogue: Catalogue, *names: str) -> list[PendingImport]:
    """Queue files of which a legacy source knows something."""
    await take(catalogue, *(legacy(name, name=f"name of {name}", on_disk=print_of(1)) for name in names))
    return [await the_row(catalogue, f"/m/{name}.pt") for name in names]


class TestDetect:
    async def test_a_found_file_waits_under_what_its_path_tells(self, catalogue: Catalogue) -> None:
        roots = [Root("/m"), Root("/x", type="vae")]
        found = [Found("/m/loras/a.pt", 5), Found("/x/b.pt", 6), Found("/m/c.pt", 2**40)]
        detected = await catalogue.detect(found, roots, NOW)
        assert [is_new for _, is_new in detected] == [True, True, True]
        rows = [row for row, _ in detected]
        assert [(row.path, row.name, row.type, row.size_bytes) for row in rows] == [
            ("/m/loras/a.pt", "a.pt", "loras", 5),
            ("/x/b.pt", "b.pt", "vae", 6),
            ("/m/c.pt", "c.pt", "", 2**40),
        ]
        assert all(
            (row.source, row.state, row.due_at, row.created_at) == ("watch", "waiting", NOW, NOW) for row in rows
        )
        assert all(row.knows_nothing for row in rows)
        assert await catalogue.pending_imports() == rows

    async def test_a_file_that_is_found_again_keeps_its_row(self, catalogue: Catalogue) -> None:
        (first,) = await queue(catalogue, "/m/a.pt")
        ((again, is_new),) = await catalogue.detect([Found("/m/a.pt", 77)], ROOTS, NOW + 5)
        assert (again.id, is_new, again.size_bytes, again.due_at) == (first.id, False, 77, NOW + 5)
        assert len(await catalogue.pending_imports()) == 1

    async def test_a_row_that_waits_for_its_file_as_it_is_stays_as_it_was(self, catalogue: Catalogue) -> None:
        (first,) = await queue(catalogue, "/m/a.pt")
        assert await catalogue.detect([Found("/m/a.pt", first.size_bytes)], ROOTS, NOW + 5) == [(first, False)]
        assert await the_row(catalogue, "/m/a.pt") == first

    @pytest.mark.parametrize("state", [PendingState.FAILED, PendingState.MISSING, PendingState.CONFLICT])
    async def test_a_row_that_was_parked_waits_again(self, catalogue: Catalogue, state: PendingState) -> None:
        (row,) = await described(catalogue, "a")
        await park(catalogue, row, state, NOW + 1000)
        ((again, _),) = await catalogue.detect([Found("/m/a.pt", 5)], ROOTS, NOW + 5)
        assert (again.state, again.due_at, again.last_error) == (PendingState.WAITING, NOW + 5, "")
        assert await the_row(catalogue, "/m/a.pt") == again

    async def test_what_a_legacy_source_said_survives_detection(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine", tags=["x"], meta={"description": "mine"}))
        before = await the_row(catalogue, "/m/a.pt")
        ((row, is_new),) = await catalogue.detect([Found("/m/a.pt", 5)], ROOTS, NOW + 5)
        assert not is_new
        assert (row.name, row.meta, row.tags, row.source) == (before.name, before.meta, before.tags, "hikaze-v1")
        assert not row.knows_nothing

    async def test_one_file_found_twice_at_once_has_one_row(self, catalogue: Catalogue) -> None:
        detected = await catalogue.detect([Found("/m/a.pt", 5), Found("/m/a.pt", 6)], ROOTS, NOW)
        assert [is_new for _, is_new in detected] == [True, False]
        assert len({row.id for row, _ in detected}) == 1


class TestIds:
    async def test_an_id_is_never_used_twice(self, catalogue: Catalogue) -> None:
        used: list[int] = []
        for number in range(3):
            (row,) = await queue(catalogue, f"/m/{number}.pt")
            used.append(row.id)
            await catalogue.drop_pending(row.id)
        (taken,) = await take(catalogue, legacy("a"))
        used.append(taken.pending_id)
        await catalogue.drop_pending(taken.pending_id)
        (row,) = await queue(catalogue, "/m/last.pt")
        assert [*used, row.id] == sorted({*used, row.id})

    async def test_an_id_is_not_used_twice_after_the_catalogue_was_closed(self, file: Path) -> None:
        used: list[int] = []
        for _ in range(2):
            catalogue = Catalogue(file)
            (row,) = await queue(catalogue, "/m/a.pt")
            await catalogue.drop_pending(row.id)
            used.append(row.id)
            catalogue.close()
        assert used[0] < used[1]

    async def test_an_id_that_only_a_dry_run_has_given_out_is_free(self, catalogue: Catalogue) -> None:
        (dry,) = await take(catalogue, legacy("a"), dry_run=True)
        (row,) = await queue(catalogue, "/m/b.pt")
        assert row.id == dry.pending_id


class TestQuestions:
    async def test_a_row_is_found_by_its_id_and_by_its_path(self, catalogue: Catalogue) -> None:
        a, b = await queue(catalogue, "/m/a.pt", "/m/b.pt")
        assert await catalogue.pending(b.id) == await catalogue.pending_by_path("/m/b.pt") == b
        assert await catalogue.pending(a.id + b.id) is None
        assert await catalogue.pending_by_path("/m/A.pt") is None

    async def test_rows_come_by_id_a_page_at_a_time(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, *(f"/m/{name}.pt" for name in "edcba"))
        await park(catalogue, rows[1], PendingState.FAILED)
        ids = [row.id for row in rows]
        assert [row.id for row in await catalogue.pending_imports()] == ids
        assert [row.id for row in await catalogue.pending_imports(limit=2, offset=1)] == ids[1:3]
        assert [row.id for row in await catalogue.pending_imports(offset=3)] == ids[3:]
        assert [row.id for row in await catalogue.pending_imports("failed")] == ids[1:2]
        assert await catalogue.pending_imports("no such state") == []

    async def test_a_row_of_unknown_content_has_no_other_side(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        details = await catalogue.pending_details(row.id)
        assert details is not None
        assert (details.pending, details.existing, details.lost_keys) == (row, None, ())
        assert await catalogue.pending_details(row.id + 1) is None

    async def test_a_conflict_shows_both_sides_and_what_differs(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", name="Mine", claim=A, meta={"description": "mine"}))
        await take(catalogue, legacy("b", name="Theirs", meta={"description": "theirs"}))
        row = await the_row(catalogue, "/m/b.pt")
        await migrate(catalogue, order(row, A))
        details = await catalogue.pending_details(row.id)
        assert details is not None
        assert details.existing is not None
        assert (details.pending.state, details.existing.model.name) == (PendingState.CONFLICT, "Mine")
        assert details.lost_keys == ("name", "description")

    @pytest.mark.parametrize("strategy", [Strategy.MERGE, Strategy.OVERRIDE, Strategy.DELETE, Strategy.IGNORE])
    async def test_what_a_strategy_would_do_is_what_it_does(self, catalogue: Catalogue, strategy: Strategy) -> None:
        await take(catalogue, legacy("a", name="Mine", claim=A, meta={"description": "mine"}))
        await take(catalogue, legacy("b", name="Theirs", meta={"description": "theirs", "more": 1}))
        row = await the_row(catalogue, "/m/b.pt")
        await migrate(catalogue, order(row, A))
        details = await catalogue.pending_details(row.id)
        assert details is not None
        assert details.existing is not None
        known, paths = details.existing, [place.path for place in details.existing.locations]

        told = outcomes(details.pending, known.model, paths, known.images, None)[strategy]
        await migrate(catalogue, order(details.pending, A, strategy))

        after = await catalogue.model(A)
        assert after is not None
        expected = told.model or known.model
        assert (after.model.texts, after.model.meta) == (expected.texts, expected.meta)
        assert (await catalogue.pending(row.id) is None) == told.removes_pending


class TestDue:
    async def test_what_is_due_longest_comes_first(self, catalogue: Catalogue) -> None:
        a, b, c = await described(catalogue, "a", "b", "c")
        await park(catalogue, a, PendingState.FAILED, NOW - 10)
        await park(catalogue, c, PendingState.MISSING, NOW - 20)
        due = await catalogue.due_pending(NOW, 10)
        assert [row.id for row in due] == [c.id, a.id, b.id]

    async def test_what_is_not_due_yet_or_waits_for_the_owner_is_left_out(self, catalogue: Catalogue) -> None:
        a, b, c = await queue(catalogue, "/m/a.pt", "/m/b.pt", "/m/c.pt")
        await park(catalogue, a, PendingState.FAILED, NOW + 1)
        await park(catalogue, b, PendingState.CONFLICT, NOW - 99)
        assert [row.id for row in await catalogue.due_pending(NOW, 10)] == [c.id]
        assert [row.id for row in await catalogue.due_pending(NOW + 1, 10)] == [c.id, a.id]

    async def test_files_of_which_another_tool_made_a_hash_come_after_all_others(self, catalogue: Catalogue) -> None:
        made, others, unclaimed = await queue(catalogue, "/m/made.pt", "/m/others.pt", "/m/unclaimed.pt")
        claim = HashClaim(HashKind.BLAKE3, "b3" * 32, Grade.A, 10, 5)
        for row, said in ((made, claim), (others, HashClaim(HashKind.SHA256, A, Grade.B))):
            record = SourceRecord("comfyui", f"/db#{row.id}", "1", (row.path,), claims=(said,))
            await catalogue.adopt([Arrival(record)], (), NOW, lambda _: None)
        assert [row.id for row in await catalogue.due_pending(NOW, 10)] == [others.id, unclaimed.id]
        assert [row.id for row in await catalogue.due_pending(NOW, 10, claimed=True)] == [made.id]
        assert await catalogue.due_pending(NOW, 10, [made.id], claimed=True) == []
        paths = [row.path for row in (made, others, unclaimed)]
        assert await catalogue.claims_on_files(paths) == {made.path: [claim]}

    async def test_a_row_tells_what_the_stages_ask_of_it(self, catalogue: Catalogue) -> None:
        await take(
            catalogue,
            legacy("said", on_disk=print_of(1), meta={"description": "words"}),
            legacy("tagged", on_disk=print_of(1), tags=("red",), meta={}),
        )
        await queue(catalogue, "/m/caf\udce9.pt", size_bytes=2**40)
        rows = await catalogue.pending_imports()
        due = {row.id: row for row in await catalogue.due_pending(NOW, 10)}
        names = ("path", "size_bytes", "attempts", "image", "knows_nothing")
        asked = [(getattr(row, name), getattr(due[row.id], name)) for row in rows for name in names]
        assert [told for _, told in asked] == [known for known, _ in asked]
        assert {row.path: row.knows_nothing for row in due.values()} == {
            "/m/said.pt": False,
            "/m/tagged.pt": False,
            "/m/caf\udce9.pt": True,
        }

    async def test_what_is_in_hand_is_left_out_and_does_not_use_up_the_limit(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, *(f"/m/{number}.pt" for number in range(6)))
        in_hand = {row.id for row in rows[:4]}
        assert [row.id for row in await catalogue.due_pending(NOW, 1, in_hand)] == [rows[4].id]
        assert [row.id for row in await catalogue.due_pending(NOW, 9, in_hand)] == [rows[4].id, rows[5].id]


class TestParkAndWaitAgain:
    async def test_a_parked_row_says_why_and_when(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        parked = Parked(row.id, row.path, PendingState.FAILED, "no \udce9 rights", NOW + 30, 2)
        assert await catalogue.park([parked]) == [parked]
        assert await the_row(catalogue, "/m/a.pt") == row.evolve(
            state=PendingState.FAILED, last_error="no \udce9 rights", due_at=NOW + 30, attempts=2
        )

    async def test_the_same_again_is_no_news_but_its_time_is_noted(self, catalogue: Catalogue) -> None:
        a, b = await described(catalogue, "a", "b")
        await park(catalogue, a, PendingState.FAILED, NOW + 1)
        again = [Parked(row.id, row.path, PendingState.FAILED, "because", NOW + 99, 4) for row in (a, b)]
        assert await catalogue.park(again) == again[1:]
        row = await the_row(catalogue, a.path)
        assert (row.due_at, row.attempts) == (NOW + 99, 4)

    async def test_another_state_or_another_reason_is_news(self, catalogue: Catalogue) -> None:
        (row,) = await described(catalogue, "a")
        await park(catalogue, row, PendingState.FAILED)
        assert len(await park(catalogue, row, PendingState.MISSING)) == 1
        other = Parked(row.id, row.path, PendingState.MISSING, "for another reason", NOW, 3)
        assert await catalogue.park([other]) == [other]

    async def test_a_stranger_that_is_gone_is_forgotten_and_its_location_is_missing(
        self, catalogue: Catalogue
    ) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        (row,) = await queue(catalogue, "/m/a.pt")
        assert len(await park(catalogue, row, PendingState.MISSING)) == 1
        assert await catalogue.pending_by_path("/m/a.pt") is None
        assert await paths_of(catalogue, A) == {"/m/a.pt": LocationState.MISSING}

    async def test_what_somebody_described_is_kept_as_missing(self, catalogue: Catalogue) -> None:
        (row,) = await described(catalogue, "a")
        await park(catalogue, row, PendingState.MISSING)
        assert (await the_row(catalogue, row.path)).state is PendingState.MISSING

    @pytest.mark.parametrize("state", [PendingState.MISSING, PendingState.FAILED])
    async def test_a_row_whose_file_was_renamed_meanwhile_goes_on_waiting(
        self, catalogue: Catalogue, state: PendingState
    ) -> None:
        """What was seen at the old path says nothing about the file, which lies at the new one."""
        (row,) = await queue(catalogue, "/m/a.pt")
        await catalogue.move_paths([Rename("/m/a.pt", "/m/b.pt")], NOW)
        assert await park(catalogue, row, state, NOW + 99) == []
        after = await the_row(catalogue, "/m/b.pt")
        assert (after.id, after.state, after.due_at) == (row.id, PendingState.WAITING, NOW)

    async def test_a_row_that_is_gone_is_no_news(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        await catalogue.drop_pending(row.id)
        assert await park(catalogue, row, PendingState.FAILED) == []

    @pytest.mark.parametrize("is_renamed", [False, True])
    async def test_a_claimed_file_that_is_gone_is_missing_unless_it_was_renamed(
        self, catalogue: Catalogue, is_renamed: bool
    ) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        if is_renamed:  # and another one lies there by now
            await catalogue.move_paths([Rename("/m/a.pt", "/m/b.pt")], NOW)
        await take(catalogue, legacy("a", claim=A, on_disk=print_of(1)))
        await park(catalogue, row, PendingState.MISSING)
        state = LocationState.PRESENT if is_renamed else LocationState.MISSING
        assert await paths_of(catalogue, A) == {"/m/a.pt": state}

    async def test_thousands_are_parked_at_once(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, *(f"/m/{number}.pt" for number in range(1_200)))
        parked = [Parked(row.id, row.path, PendingState.FAILED, "because", NOW + 5, 1) for row in rows]
        assert await catalogue.park(parked) == parked
        assert await catalogue.due_pending(NOW, 10) == []

    async def test_all_that_failed_or_is_missing_waits_again_and_nothing_else(self, catalogue: Catalogue) -> None:
        rows = await described(catalogue, *"0123")
        for row, state in zip(rows, PendingState, strict=True):
            await park(catalogue, row, state, NOW + 99)
        assert await catalogue.wait_again(NOW + 5) == 2
        states = {row.path: (row.state, row.due_at, row.attempts) for row in await catalogue.pending_imports()}
        assert states == {
            "/m/0.pt": (PendingState.WAITING, NOW + 99, 3),
            "/m/1.pt": (PendingState.CONFLICT, NOW + 99, 3),
            "/m/2.pt": (PendingState.WAITING, NOW + 5, 0),
            "/m/3.pt": (PendingState.WAITING, NOW + 5, 0),
        }

    async def test_named_rows_wait_again_whatever_their_state(self, catalogue: Catalogue) -> None:
        a, b = await queue(catalogue, "/m/a.pt", "/m/b.pt")
        await park(catalogue, a, PendingState.CONFLICT, NOW + 99)
        await park(catalogue, b, PendingState.FAILED, NOW + 99)
        assert await catalogue.wait_again(NOW, [a.id, 4711]) == 1
        assert (await the_row(catalogue, "/m/a.pt")).state is PendingState.WAITING
        assert (await the_row(catalogue, "/m/b.pt")).state is PendingState.FAILED

    async def test_no_names_are_no_rows(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        await park(catalogue, row, PendingState.FAILED)
        assert await catalogue.wait_again(NOW, []) == 0

    async def test_any_number_of_rows_may_be_named(self, catalogue: Catalogue) -> None:
        (row,) = await queue(catalogue, "/m/a.pt")
        await park(catalogue, row, PendingState.FAILED)
        assert await catalogue.wait_again(NOW, range(1, 300_000)) == 1


class TestOtherTimes:
    async def test_what_is_due_later_moves_with_the_clock(self, catalogue: Catalogue) -> None:
        a, b = await described(catalogue, "a", "b")
        await park(catalogue, a, PendingState.FAILED, NOW + 60_000)
        assert await catalogue.shift_due(NOW, -3_600_000) == 1
        assert (await the_row(catalogue, a.path)).due_at == NOW + 60_000 - 3_600_000
        assert (await the_row(catalogue, b.path)).due_at == NOW

    async def test_what_stalled_below_a_folder_that_is_back_is_due_now(self, catalogue: Catalogue) -> None:
        rows = await queue(catalogue, "/m/a/1.pt", "/m/a/2.pt", "/m/a/3.pt", "/m/ab/4.pt")
        for row, state in zip(rows, ("failed", "conflict", "waiting", "failed"), strict=True):
            await park(catalogue, row, PendingState(state), NOW + 99)
        assert await catalogue.wake_below("/m/a", NOW + 5) == 2
        assert [row.due_at for row in await catalogue.pending_imports()] == [NOW + 5, NOW + 99, NOW + 5, NOW + 99]
        # One that waits is due when it came; later only by a clock that was wrong then.
        assert await catalogue.wake_below("/m/a/3.pt", NOW + 9) == 0


class TestDrop:
    async def test_a_dropped_row_is_gone_with_its_tags(self, catalogue: Catalogue, file: Path) -> None:
        (taken,) = await take(catalogue, legacy("a", tags=["x", "y"]))
        await catalogue.drop_pending(taken.pending_id)
        assert await catalogue.pending(taken.pending_id) is None
        assert rows_of(file, "SELECT * FROM pending_model_tags") == []
        assert [tag.name for tag in await catalogue.tags()] == ["x", "y"]

    async def test_dropping_nothing_is_fine(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await catalogue.drop_pending(4711)
        assert (await catalogue.counts())["models"] == 1
