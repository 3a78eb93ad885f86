"""A root on disk against the catalogue: each file is in exactly one class, and the right one."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.reconcile import Differences, Twin, compare, find_twin, is_explained, looks_unmounted
from modelkeep.domain.values import Location, LocationState, PendingState

SHA = "ab" * 32
PRINT = Fingerprint(device=1, inode=10, size_bytes=100, mtime_ns=1000)
OTHER = Fingerprint(device=1, inode=11, size_bytes=100, mtime_ns=2000)
PATH = "/m/loras/a.pt"


def place(
    path: str = PATH,
    state: LocationState = LocationState.PRESENT,
    fingerprint: Fingerprint | None = PRINT,
    claimed: bool = False,
) -> Location:
    return Location(path, SHA, state, fingerprint, claimed)


class TestCompare:
    def test_a_known_file_that_lies_there_as_it_did_is_unchanged(self) -> None:
        assert compare({PATH: PRINT}, [place()], {}) == Differences(unchanged=1)

    def test_an_unknown_file_appeared(self) -> None:
        assert compare({PATH: PRINT}, [], {}) == Differences(appeared={PATH: PRINT})

    @pytest.mark.parametrize(
        "now",
        [
            PRINT._replace(inode=12),
            PRINT._replace(size_bytes=101),
            PRINT._replace(mtime_ns=1001),
        ],
    )
    def test_other_content_at_a_known_path_is_a_change(self, now: Fingerprint) -> None:
        assert compare({PATH: now}, [place()], {}) == Differences(changed={PATH: now})

    @pytest.mark.parametrize("state", [LocationState.MISSING, LocationState.UNREACHABLE])
    def test_a_file_that_was_not_there_has_returned(self, state: LocationState) -> None:
        assert compare({PATH: PRINT}, [place(state=state)], {}) == Differences(returned={PATH: PRINT})

    @pytest.mark.parametrize("state", [LocationState.MISSING, LocationState.UNREACHABLE])
    def test_a_file_that_returns_with_other_content_has_changed(self, state: LocationState) -> None:
        assert compare({PATH: OTHER}, [place(state=state)], {}) == Differences(changed={PATH: OTHER})

    def test_another_device_number_after_a_mount_is_no_change_of_content(self) -> None:
        now = PRINT._replace(device=99)
        found = compare({PATH: now}, [place()], {})
        assert (found.changed, found.appeared, found.missing) == ({}, {}, [])

    def test_a_claim_whose_file_was_never_seen_is_seen(self) -> None:
        found = compare({PATH: PRINT}, [place(fingerprint=None, claimed=True)], {})
        assert found == Differences(seen={PATH: PRINT})

    @pytest.mark.parametrize("state", [LocationState.PRESENT, LocationState.UNREACHABLE])
    def test_a_known_file_that_is_not_there_is_missing(self, state: LocationState) -> None:
        assert compare({}, [place(state=state)], {}) == Differences(missing=[PATH])

    def test_a_missing_file_that_is_still_missing_is_no_news(self) -> None:
        assert compare({}, [place(state=LocationState.MISSING)], {}) == Differences()

    @pytest.mark.parametrize("state", [PendingState.WAITING, PendingState.FAILED])
    def test_a_file_in_the_queue_is_no_news(self, state: PendingState) -> None:
        assert compare({PATH: PRINT}, [], {PATH: state}) == Differences()

    def test_a_row_in_conflict_does_not_hide_another_file_at_its_path(self) -> None:
        pending = {PATH: PendingState.CONFLICT}
        assert compare({PATH: PRINT}, [], pending) == Differences(queued={PATH: PRINT})
        assert compare({PATH: PRINT}, [place()], pending) == Differences(unchanged=1)

    def test_a_row_that_waits_as_missing_hears_of_its_file(self) -> None:
        assert compare({PATH: PRINT}, [], {PATH: PendingState.MISSING}) == Differences(queued={PATH: PRINT})

    @pytest.mark.parametrize("state", [PendingState.WAITING, PendingState.FAILED, PendingState.CONFLICT])
    def test_a_row_whose_file_is_not_there_is_missing(self, state: PendingState) -> None:
        assert compare({}, [], {PATH: state}) == Differences(missing=[PATH])

    def test_a_row_that_is_known_to_be_missing_is_no_news(self) -> None:
        assert compare({}, [], {PATH: PendingState.MISSING}) == Differences()

    def test_a_path_that_is_a_location_and_in_the_queue_is_missing_once(self) -> None:
        assert compare({}, [place()], {PATH: PendingState.CONFLICT}).missing == [PATH]

    def test_a_queued_row_whose_location_is_known_to_be_missing_is_missing_too(self) -> None:
        """Else the row goes on waiting for a file that is gone."""
        known = [place(state=LocationState.MISSING)]
        assert compare({}, known, {PATH: PendingState.WAITING}).missing == [PATH]

    @given(
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([PRINT, OTHER])),
        st.dictionaries(
            st.sampled_from("abcdef"),
            st.tuples(st.sampled_from(LocationState), st.sampled_from([None, PRINT, OTHER]), st.booleans()),
        ),
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(PendingState)),
    )
    def test_every_file_is_in_one_class_at_most_and_nothing_unknown_is_overlooked(
        self,
        on_disk: dict[str, Fingerprint],
        known: dict[str, tuple[LocationState, Fingerprint | None, bool]],
        pending: dict[str, PendingState],
    ) -> None:
        found = compare(on_disk, [place(path, *values) for path, values in known.items()], pending)
        located = [*found.changed, *found.returned, *found.seen]
        assert len(located) == len(set(located))
        assert set(found.missing).isdisjoint(on_disk)
        assert len(found.missing) == len(set(found.missing))
        assert set(found.appeared) == on_disk.keys() - known.keys() - pending.keys()
        assert len(located) + found.unchanged == len(on_disk.keys() & known.keys())


@dataclass
class Disk:
    """What lies at paths, when their folder got a name last, and what events tell."""

    files: dict[str, Fingerprint]
    named_ns: int | None = 5_000_000_000
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def fingerprint_of(self, path: str) -> Fingerprint | None:
        return self.files.get(path)

    def named_at(self, path: str) -> int | None:
        return self.named_ns

    def was_written(self, path: str) -> bool:
        return path in self.written

    def was_removed(self, path: str) -> bool:
        return path in self.removed


BORN = PRINT._replace(ctime_ns=1_000_000_000, birth_ns=7)
TOUCHED = BORN._replace(ctime_ns=5_000_000_000)
NEW = "/m/b.pt"


class TestTouched:
    def test_another_ctime_alone_is_no_change_and_is_told(self) -> None:
        assert compare({PATH: TOUCHED}, [place(fingerprint=BORN)], {}) == Differences(touched={PATH: TOUCHED})

    def test_what_is_doubted_already_is_no_news(self) -> None:
        known = replace(place(fingerprint=BORN), doubted=True)
        assert compare({PATH: TOUCHED}, [known], {}) == Differences(unchanged=1)

    def test_another_birth_is_another_file(self) -> None:
        now = BORN._replace(birth_ns=8)
        assert compare({PATH: now}, [place(fingerprint=BORN)], {}) == Differences(changed={PATH: now})

    def test_times_that_were_not_known_are_learnt(self) -> None:
        assert compare({PATH: TOUCHED}, [place()], {}) == Differences(returned={PATH: TOUCHED})

    def test_a_file_with_another_birth_is_no_twin(self) -> None:
        assert find_twin(NEW, TOUCHED._replace(birth_ns=8), [place(fingerprint=BORN)], Disk({})) is None

    def test_a_touched_file_is_no_twin_where_nobody_knows_when_files_are_made(self) -> None:
        known, now = BORN._replace(birth_ns=None), TOUCHED._replace(birth_ns=None)
        assert find_twin(NEW, now, [place(fingerprint=known)], Disk({})) is None
        assert find_twin(NEW, known, [place(fingerprint=known)], Disk({})) is not None

    @pytest.mark.parametrize(
        ("disk", "is_doubtful"),
        [
            (Disk({}), False),
            (Disk({}, named_ns=4_700_000_000), True),
            (Disk({}, named_ns=None), True),
            (Disk({}, written=(NEW,)), True),
            (Disk({}, written=(PATH,)), True),
        ],
    )
    def test_a_rename_explains_another_ctime_unless_more_happened(self, disk: Disk, is_doubtful: bool) -> None:
        twin = find_twin(NEW, TOUCHED, [place(fingerprint=BORN)], disk)
        assert twin == Twin(place(fingerprint=BORN), moved=True, is_doubtful=is_doubtful)

    def test_of_a_file_that_was_read_to_hold_one_content_and_then_another_a_new_name_is_doubted(self) -> None:
        before, later = place(fingerprint=BORN), place("/m/c.pt", fingerprint=BORN._replace(ctime_ns=4_000_000_000))
        since = replace(later, sha256="f" * 64)
        for known in ([before, since], [since, before]):
            twin = find_twin(NEW, TOUCHED, known, Disk({}))
            assert twin is not None
            assert twin.is_doubtful

    def test_a_touched_file_at_its_path_is_not_explained_by_names_in_its_folder(self) -> None:
        assert not is_explained(place(fingerprint=BORN), TOUCHED, [place(fingerprint=BORN)], Disk({PATH: TOUCHED}))

    def test_another_name_that_was_seen_since_explains_it(self) -> None:
        other = place(NEW, fingerprint=TOUCHED)
        assert is_explained(place(fingerprint=BORN), TOUCHED, [other], Disk({}))
        assert not is_explained(place(fingerprint=BORN), TOUCHED, [replace(other, doubted=True)], Disk({}))
        assert not is_explained(place(fingerprint=BORN), TOUCHED, [other], Disk({}, written=(PATH,)))

    def test_another_name_that_was_just_taken_away_explains_it(self) -> None:
        other, known = place(NEW, fingerprint=BORN), place(fingerprint=BORN)
        assert is_explained(known, TOUCHED, [other], Disk({PATH: TOUCHED}, removed=(NEW,)))
        assert not is_explained(known, TOUCHED, [other], Disk({PATH: TOUCHED}))
        assert not is_explained(known, TOUCHED, [other], Disk({PATH: TOUCHED, NEW: TOUCHED}, removed=(NEW,)))
        assert not is_explained(known, TOUCHED, [other], Disk({}, removed=(NEW,), written=(NEW,)))
        assert not is_explained(known, TOUCHED, [replace(other, doubted=True)], Disk({}, removed=(NEW,)))

    def test_a_name_that_was_taken_away_before_the_last_look_explains_nothing(self) -> None:
        other, known = place(NEW, fingerprint=BORN), place(fingerprint=BORN._replace(ctime_ns=2_000_000_000))
        assert not is_explained(known, TOUCHED, [other], Disk({}, removed=(NEW,)))

    def test_a_missing_file_that_got_its_name_back_is_explained(self) -> None:
        known = place(state=LocationState.MISSING, fingerprint=BORN)
        assert is_explained(known, TOUCHED, [], Disk({}))
        assert not is_explained(known, TOUCHED, [], Disk({}, named_ns=1_000_000_000))


class TestFindTwin:
    def test_content_that_left_its_path_has_moved(self) -> None:
        twin = find_twin("/m/b.pt", PRINT, [place()], Disk({}))
        assert twin == Twin(place(), moved=True)

    def test_content_whose_old_path_holds_something_else_has_moved(self) -> None:
        twin = find_twin("/m/b.pt", PRINT, [place()], Disk({PATH: OTHER}))
        assert twin == Twin(place(), moved=True, replaced=True)

    def test_content_that_still_lies_at_its_path_is_a_link(self) -> None:
        twin = find_twin("/m/b.pt", PRINT, [place()], Disk({PATH: PRINT}))
        assert twin == Twin(place(), moved=False)

    def test_a_move_is_preferred_to_a_link(self) -> None:
        gone = place("/m/gone.pt")
        assert find_twin("/m/b.pt", PRINT, [place(), gone], Disk({PATH: PRINT})) == Twin(gone, moved=True)

    def test_a_path_is_not_its_own_twin(self) -> None:
        assert find_twin(PATH, PRINT, [place()], Disk({PATH: PRINT})) is None

    def test_without_candidates_there_is_no_twin(self) -> None:
        assert find_twin(PATH, PRINT, [], Disk({PATH: PRINT})) is None


class TestLooksUnmounted:
    def test_an_empty_folder_that_was_full_on_another_device_is_a_mount_point(self) -> None:
        assert looks_unmounted({}, 2, [place()])

    def test_an_empty_folder_on_the_same_device_was_emptied(self) -> None:
        assert not looks_unmounted({}, 1, [place()])

    def test_a_folder_that_holds_something_is_there(self) -> None:
        assert not looks_unmounted({PATH: PRINT}, 2, [place()])

    @pytest.mark.parametrize("known", [[], [place(fingerprint=None)], [place(state=LocationState.MISSING)]])
    def test_a_folder_in_which_nothing_was_is_just_empty(self, known: list[Location]) -> None:
        assert not looks_unmounted({}, 2, known)

    def test_what_is_unreachable_already_stays_so_while_the_folder_is_empty(self) -> None:
        assert looks_unmounted({}, 2, [place(state=LocationState.UNREACHABLE)])


def test_differences_at_some_paths_and_at_the_others_are_all_of_them() -> None:
    found = Differences(
        appeared={"/m/a": PRINT},
        changed={"/m/b": OTHER},
        touched={"/m/c": PRINT},
        returned={"/m/d": PRINT},
        seen={"/m/e": PRINT},
        queued={"/m/b": OTHER, "/m/f": PRINT},
        missing=["/m/g", "/m/h"],
    )
    paths = found.paths()
    assert sorted(paths) == [f"/m/{name}" for name in "abcdefgh"]
    for middle in range(len(paths) + 1):
        together = found.at(paths[:middle])
        together.add(found.at(paths[middle:]))
        assert together == found
