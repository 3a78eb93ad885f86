"""Where a content is, or was: its paths, the best of them, and what becomes of them when files go and come."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import location_at

from modelkeep.catalogue.bare_sqlite import storable_path
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState, PendingImport, PendingState

from .conftest import (
    NOW,
    A,
    B,
    dated,
    dump,
    hashed,
    legacy,
    paths_of,
    print_of,
    queue,
    read,
    rows_of,
    take,
    the_model,
    the_row,
)

PRESENT, MISSING, UNREACHABLE = LocationState.PRESENT, LocationState.MISSING, LocationState.UNREACHABLE


async def link(
    catalogue: Catalogue, path: str, sha256: str, number: int = 500, now_ms: int = NOW
) -> list[str | None]:
    return await catalogue.put_locations([Location(path, sha256, PRESENT, print_of(number))], now_ms)


async def refute(
    catalogue: Catalogue, image: str = "", before_commit: Callable[[PendingImport], None] = lambda _: None
) -> PendingImport:
    judgement = await read(catalogue, "/m/a.pt", A, B, image=image, before_commit=before_commit)
    assert judgement.row is not None
    return judgement.row


class TestFingerprints:
    @pytest.mark.parametrize(
        "fingerprint",
        [
            Fingerprint(0, 0, 0, 0),
            Fingerprint(2**63, 2**64 - 1, 2**62, 2**62),
            Fingerprint(2**64 - 1, 2**63, 1, -5_000_000_000),
            Fingerprint(1, 2**63 - 1, 1, 1),
        ],
    )
    async def test_a_fingerprint_comes_back_as_it_was(self, catalogue: Catalogue, fingerprint: Fingerprint) -> None:
        place = await hashed(catalogue, "/m/a.pt", A)
        await catalogue.put_locations([replace(place, fingerprint=fingerprint)], NOW)
        assert await catalogue.see_again({"/m/a.pt": fingerprint}, NOW + 9) == []
        assert await location_at(catalogue, "/m/a.pt") == replace(place, fingerprint=fingerprint, last_seen=NOW + 9)

    async def test_a_file_that_is_not_the_known_one_is_not_taken_for_it(self, catalogue: Catalogue) -> None:
        """As when the other was migrated between the look and the transaction."""
        place = await hashed(catalogue, "/m/a.pt", A)
        other = {"/m/a.pt": print_of(4711), "/m/b.pt": print_of(4712)}
        assert await catalogue.see_again(other, NOW + 9) == ["/m/a.pt", "/m/b.pt"]
        assert await catalogue.doubt(other, NOW + 9) == ["/m/a.pt", "/m/b.pt"]
        assert await location_at(catalogue, "/m/a.pt") == place

    async def test_what_is_known_anew_of_a_path_is_not_lost_with_what_was(self, catalogue: Catalogue) -> None:
        before = await hashed(catalogue, "/m/a.pt", A)
        assert before.fingerprint is not None
        await catalogue.see_again({"/m/a.pt": before.fingerprint._replace(ctime_ns=7)}, NOW + 9)
        place = await location_at(catalogue, "/m/a.pt")
        assert await catalogue.lose_content([before]) == []
        assert await location_at(catalogue, "/m/a.pt") == place
        assert place is not None
        assert [lost.path for lost in await catalogue.lose_content([place])] == ["/m/a.pt"]
        assert await location_at(catalogue, "/m/a.pt") == replace(place, state=MISSING, doubted=True)

    async def test_a_file_dated_in_the_far_future_has_a_place(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """ext4 dates files up to the year 2446; its nanoseconds leave the signed 64 bits in 2262."""
        path = tmp_path / "a.pt"
        fingerprint = dated(path, seconds=10_000_000_000)
        known = replace(await hashed(catalogue, str(path), A), fingerprint=fingerprint)
        await catalogue.put_locations([known], NOW)
        place = await location_at(catalogue, str(path))
        assert place is not None
        assert place.fingerprint == fingerprint
        assert await catalogue.twins_of({fingerprint}) == {fingerprint: [place]}


class TestTwins:
    async def test_hashed_locations_are_found_by_their_fingerprint(self, catalogue: Catalogue) -> None:
        a = await hashed(catalogue, "/m/a.pt", A)
        b = await hashed(catalogue, "/m/b.pt", B)
        assert a.fingerprint is not None
        assert b.fingerprint is not None
        unknown = print_of(4711)
        assert await catalogue.twins_of({a.fingerprint, b.fingerprint, unknown}) == {
            a.fingerprint: [a],
            b.fingerprint: [b],
        }
        assert await catalogue.twins_of(set()) == {}

    @pytest.mark.parametrize("inode", [1, 2**63 - 1, 2**63, 2**64 - 1])
    async def test_any_inode_and_device_is_found(self, catalogue: Catalogue, inode: int) -> None:
        fingerprint = Fingerprint(device=2**64 - inode, inode=inode, size_bytes=10, mtime_ns=7)
        await catalogue.put_locations([replace(await hashed(catalogue, "/m/a.pt", A), fingerprint=fingerprint)], NOW)
        assert [place.path for place in (await catalogue.twins_of([fingerprint]))[fingerprint]] == ["/m/a.pt"]

    @pytest.mark.parametrize(
        "other",
        [{"device": 2}, {"inode": 9}, {"size_bytes": 11}, {"mtime_ns": 8}],
        ids=lambda change: next(iter(change)),
    )
    async def test_every_part_of_the_fingerprint_counts(self, catalogue: Catalogue, other: dict[str, int]) -> None:
        place = await hashed(catalogue, "/m/a.pt", A)
        assert place.fingerprint is not None
        assert await catalogue.twins_of({place.fingerprint._replace(**other)}) == {}

    async def test_a_claim_is_nobodys_twin(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, on_disk=print_of(1)))
        await catalogue.see_again({"/m/a.pt": print_of(1)}, NOW)
        assert await catalogue.twins_of({print_of(1)}) == {}

    async def test_thousands_are_found_at_once(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        places = [Location(f"/m/{number}.pt", A, PRESENT, print_of(number)) for number in range(10_000, 11_500)]
        await catalogue.put_locations(places, NOW)
        wanted = {print_of(number) for number in range(10_000, 13_000)}
        assert len(await catalogue.twins_of(wanted)) == 1_500
        assert len(await catalogue.locations_at([place.path for place in places])) == 1_500


class TestMainPath:
    async def test_the_present_main_path_stays_whatever_else_there_is(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/z.pt", A)
        await link(catalogue, "/m/a.pt", A, now_ms=NOW - 999)
        assert (await the_model(catalogue, A)).path == "/m/z.pt"

    async def test_when_the_main_path_is_gone_the_one_known_longest_takes_over(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/main.pt", A)
        await link(catalogue, "/m/a-young.pt", A, 501, NOW + 50)
        await link(catalogue, "/m/z-old.pt", A, 502, NOW + 20)
        await catalogue.set_missing(["/m/main.pt"], "gone", NOW)
        assert (await the_model(catalogue, A)).path == "/m/z-old.pt"

    async def test_a_model_without_a_present_location_keeps_its_last_path(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/main.pt", A)
        await catalogue.set_missing(["/m/main.pt"], "gone", NOW)
        assert (await the_model(catalogue, A)).path == "/m/main.pt"
        assert await paths_of(catalogue, A) == {"/m/main.pt": MISSING}

    async def test_a_file_that_returns_elsewhere_is_the_main_path_again(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/main.pt", A)
        await link(catalogue, "/m/other.pt", A)
        await catalogue.set_missing(["/m/main.pt", "/m/other.pt"], "gone", NOW)
        await catalogue.see_again({"/m/other.pt": print_of(500)}, NOW)
        assert (await the_model(catalogue, A)).path == "/m/other.pt"


class TestMissing:
    async def test_what_changed_is_told_once(self, catalogue: Catalogue) -> None:
        a = await hashed(catalogue, "/m/a.pt", A)
        assert await catalogue.set_missing(["/m/a.pt", "/m/unknown.pt"], "gone", NOW) == [a]
        assert await catalogue.set_missing(["/m/a.pt"], "gone", NOW) == []

    async def test_nothing_known_is_lost(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], meta={"description": "mine"}, image="p"))
        before = await catalogue.model(A)
        assert before is not None
        await catalogue.set_missing(["/m/a.pt"], "gone", NOW)
        after = await catalogue.model(A)
        assert after is not None
        assert (after.model, after.images) == (before.model, before.images)

    async def test_a_queued_stranger_goes_and_what_somebody_described_stays_as_missing(
        self, catalogue: Catalogue
    ) -> None:
        await queue(catalogue, "/m/stranger.pt")
        await take(catalogue, legacy("described", tags=["x"], on_disk=print_of(1)))
        assert (await the_row(catalogue, "/m/described.pt")).state is PendingState.WAITING
        await catalogue.set_missing(["/m/stranger.pt", "/m/described.pt"], "it is gone", NOW + 30)
        assert await catalogue.pending_by_path("/m/stranger.pt") is None
        row = await the_row(catalogue, "/m/described.pt")
        assert (row.state, row.last_error, row.due_at) == (PendingState.MISSING, "it is gone", NOW + 30)
        assert [tag.name for tag in row.tags] == ["x"]

    async def test_thousands_go_at_once(self, catalogue: Catalogue) -> None:
        paths = [f"/m/{number}.pt" for number in range(1_200)]
        await queue(catalogue, *paths)
        assert await catalogue.set_missing(paths, "gone", NOW) == []
        assert await catalogue.pending_imports() == []


class TestUnreachable:
    async def test_only_what_lies_below_and_is_in_the_old_state_changes(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a/1.pt", A)
        await hashed(catalogue, "/m/ab/2.pt", B)
        await link(catalogue, "/m/a/3.pt", A)
        await catalogue.set_missing(["/m/a/3.pt"], "gone", NOW)
        assert await catalogue.set_state_below("/m/a", PRESENT, UNREACHABLE) == 1
        assert await paths_of(catalogue, A) == {"/m/a/1.pt": UNREACHABLE, "/m/a/3.pt": MISSING}
        assert await paths_of(catalogue, B) == {"/m/ab/2.pt": PRESENT}

    async def test_a_reachable_copy_becomes_the_main_path(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a/1.pt", A)
        await link(catalogue, "/n/1.pt", A)
        await catalogue.set_state_below("/m", PRESENT, UNREACHABLE)
        assert (await the_model(catalogue, A)).path == "/n/1.pt"

    async def test_the_counts_tell_the_three_states_apart(self, catalogue: Catalogue) -> None:
        for number, sha256 in enumerate((A, B)):
            await hashed(catalogue, f"/m/{number}.pt", sha256)
        await catalogue.set_state_below("/m", PRESENT, UNREACHABLE)
        await link(catalogue, "/n/a.pt", A)
        await catalogue.set_missing(["/m/1.pt"], "gone", NOW)
        assert (await catalogue.counts())["locations"] == {"present": 1, "missing": 1, "unreachable": 1}


class TestOtherContent:
    async def test_a_path_belongs_to_the_content_that_lies_there_now(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await hashed(catalogue, "/m/b.pt", B)
        assert await link(catalogue, "/m/a.pt", B, now_ms=NOW + 7) == [A]
        assert await paths_of(catalogue, A) == {}
        assert await paths_of(catalogue, B) == {"/m/b.pt": PRESENT, "/m/a.pt": PRESENT}
        place = await location_at(catalogue, "/m/a.pt")
        assert place is not None
        assert place.first_seen == NOW + 7

    async def test_the_content_that_lost_its_path_is_still_known(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"]))
        await hashed(catalogue, "/m/b.pt", B)
        await link(catalogue, "/m/a.pt", B)
        model = await the_model(catalogue, A)
        assert (model.name, model.path, [tag.name for tag in model.tags]) == ("Mine", "/m/a.pt", ["x"])

    async def test_a_path_that_is_written_again_keeps_its_first_sight(self, catalogue: Catalogue) -> None:
        before = await hashed(catalogue, "/m/a.pt", A)
        assert await link(catalogue, "/m/a.pt", A, now_ms=NOW + 99) == [""]
        after = await location_at(catalogue, "/m/a.pt")
        assert after is not None
        assert (after.first_seen, after.last_seen) == (before.first_seen, NOW + 99)


class TestClaims:
    async def test_claims_are_those_whose_file_is_there(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, on_disk=print_of(1)), legacy("b", claim=B))
        assert [(place.path, place.sha256) for place in await catalogue.claims(10)] == [("/m/a.pt", A)]
        assert await catalogue.claims(10, {"/m/a.pt"}) == []

    async def test_those_that_were_tried_do_not_use_up_the_limit(self, catalogue: Catalogue) -> None:
        rows = [legacy(str(n), claim=f"{n:064x}", on_disk=print_of(n)) for n in range(5)]
        await take(catalogue, *rows)
        assert [place.path for place in await catalogue.claims(2, {"/m/0.pt", "/m/1.pt"})] == ["/m/2.pt", "/m/3.pt"]

    async def test_those_that_lie_in_no_folder_of_ours_are_left_out(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, on_disk=print_of(1)), legacy("b/b", claim=B, on_disk=print_of(2)))
        for folders, names in ((["/m"], ["a", "b/b"]), (["/m/b", "/n"], ["b/b"]), ([], [])):
            places = await catalogue.claims(9, folders=folders)
            assert [place.path for place in places] == [f"/m/{name}.pt" for name in names]

    async def test_a_confirmed_claim_is_none_any_more(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, on_disk=print_of(1)))
        assert (await read(catalogue, "/m/a.pt", A, A)).confirmed == A
        assert await catalogue.claims(10) == []
        place = await location_at(catalogue, "/m/a.pt")
        assert place == Location("/m/a.pt", A, PRESENT, print_of(1), False, NOW, NOW + 3)

    async def test_a_refuted_claim_costs_the_model_its_path_and_nothing_else(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], on_disk=print_of(1)))
        await refute(catalogue)
        assert await paths_of(catalogue, A) == {}
        model = await the_model(catalogue, A)
        assert (model.name, [tag.name for tag in model.tags]) == ("Mine", ["x"])

    async def test_what_was_said_of_a_file_with_a_wrong_hash_is_said_of_its_row(self, catalogue: Catalogue) -> None:
        meta = {"description": "mine"}
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], meta=meta, on_disk=print_of(1)))
        told: list[PendingImport] = []
        row = await refute(catalogue, ".webp", told.append)
        assert told == [row]
        assert row == await the_row(catalogue, "/m/a.pt")
        assert (row.state, row.name, row.meta, row.size_bytes) == (PendingState.WAITING, "Mine", meta, 10)
        assert ([tag.name for tag in row.tags], row.image) == (["x"], f"{row.id}.webp")
        assert not row.knows_nothing

    async def test_what_is_known_of_a_file_that_has_the_hash_is_not_said_of_another(
        self, catalogue: Catalogue
    ) -> None:
        await take(catalogue, legacy("true", claim=A, base="SDXL", tags=["y"], on_disk=print_of(9)))
        await read(catalogue, "/m/true.pt", A, A, print_of(9))
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], on_disk=print_of(1)), source="/other")
        row = await refute(catalogue)
        assert (row.name, row.base, [tag.name for tag in row.tags]) == ("Mine", "", ["x"])
        assert await paths_of(catalogue, A) == {"/m/true.pt": PRESENT}

    @pytest.mark.parametrize("described", [True, False])
    async def test_a_row_that_waits_for_the_file_already_keeps_what_it_knows(
        self, catalogue: Catalogue, described: bool
    ) -> None:
        if described:
            await take(catalogue, legacy("b", "/m/a.pt", name="Theirs", copied="s.png"), source="/other")
        else:
            await queue(catalogue, "/m/a.pt")
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], on_disk=print_of(1)))
        row = await refute(catalogue)
        assert [row] == await catalogue.pending_imports()
        assert row.name == ("Theirs" if described else "Mine")

    async def test_a_refutation_that_cannot_be_finished_has_not_happened(
        self, catalogue: Catalogue, file: Path
    ) -> None:
        await take(catalogue, legacy("a", claim=A, name="Mine", tags=["x"], on_disk=print_of(1)))
        before = dump(file)

        def fail(_: PendingImport) -> None:
            raise OSError("no space left")

        with pytest.raises(OSError, match="no space left"):
            await refute(catalogue, ".png", fail)
        assert dump(file) == before

    async def test_seeing_a_claimed_file_does_not_confirm_it(self, catalogue: Catalogue) -> None:
        await take(catalogue, legacy("a", claim=A))
        await catalogue.see_again({"/m/a.pt": print_of(1)}, NOW)
        (place,) = await catalogue.claims(10)
        assert (place.claimed, place.state, place.fingerprint) == (True, PRESENT, print_of(1))


class TestBelow:
    @pytest.mark.parametrize("folder", ["/m/a", "/m/a/"])
    async def test_only_what_lies_in_the_folder_is_below_it(self, catalogue: Catalogue, folder: str) -> None:
        inside = ["/m/a/x.pt", "/m/a/b/x.pt", "/m/a/%.pt", "/m/a/模型.pt"]
        outside = ["/m/a.pt", "/m/ab/x.pt", "/m/a0/x.pt", "/m/a!/x.pt", "/m/A/x.pt", "/m/x.pt"]
        await queue(catalogue, *inside, *outside)
        _, pending = await catalogue.known_below(folder)
        assert sorted(pending) == sorted(inside)

    @pytest.mark.parametrize("folder", ["/m/a_b", "/m/a%b", "/m/a'b", "/m/caf\udce9", "/m/[a]", "/m/a*"])
    async def test_no_character_is_a_wild_card(self, catalogue: Catalogue, folder: str) -> None:
        await hashed(catalogue, f"{folder}/x.pt", A)
        for number, alike in enumerate(("/m/axb", "/m/a\\_b", "/m/cafe", "/m/a", "/m/ab")):
            await link(catalogue, f"{alike}/x.pt", A, 600 + number)
        known, _ = await catalogue.known_below(folder)
        assert [place.path for place in known] == [f"{folder}/x.pt"]

    async def test_everything_lies_below_the_root_folder(self, catalogue: Catalogue) -> None:
        await hashed(catalogue, "/m/a.pt", A)
        await queue(catalogue, "/x.pt")
        known, pending = await catalogue.known_below("/")
        assert ([place.path for place in known], pending) == (["/m/a.pt"], {"/x.pt": PendingState.WAITING})

    async def test_paths_are_told_apart_by_case(self, catalogue: Catalogue, file: Path) -> None:
        await hashed(catalogue, "/m/Add_Detail.pt", A)
        await hashed(catalogue, "/m/add_detail.pt", B)
        assert rows_of(file, "SELECT count(*) FROM locations") == [(2,)]
        place = await location_at(catalogue, "/m/add_detail.pt")
        assert place is not None
        assert place.sha256 == B


class TestOutside:
    @pytest.mark.parametrize(
        "folders",
        [
            [],
            ["/m"],
            ["/m/"],
            ["/m", "/m/a"],
            ["/m/a", "/n"],
            ["/n", "/m/a", "/m/ab"],
            ["/"],
            ["/m/\udc80", "/m/\U0001f600"],
        ],
    )
    async def test_what_lies_below_none_of_some_folders(self, catalogue: Catalogue, folders: list[str]) -> None:
        names = [
            "/a",
            "/m",
            "/m!",
            "/m/a",
            "/m/a/x",
            "/m/ab/x",
            "/m/a!",
            "/m/a0",
            "/m0",
            "/n/x",
            "/z",
            "/m/\udc80/x",
            "/m/\U0001f600/x",
        ]
        await hashed(catalogue, "/elsewhere.pt", A)
        for number, name in enumerate(names):
            await link(catalogue, name, A, number)
        found = {place.path for place in await catalogue.locations_outside(folders)}
        below = [folder.rstrip("/") + "/" for folder in folders]
        assert found == {name for name in [*names, "/elsewhere.pt"] if not name.startswith(tuple(below))}
        one_by_one: list[str] = []
        while some := await catalogue.locations_outside(folders, one_by_one[-1] if one_by_one else "", 1):
            one_by_one += [place.path for place in some]
        assert one_by_one == sorted(found, key=storable_path)
