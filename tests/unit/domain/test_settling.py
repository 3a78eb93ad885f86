"""When a file is taken: as a machine that is fed with every order of events, changes and looks."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.formats import Completeness
from modelkeep.domain.settling import Look, Verdict, Watched, first_sight, next_look_at, observe, settle

SETTLE_SECONDS = 4.0
PATH = "/m/a.safetensors"
PRINT = Fingerprint(1, 2, 100, 1000)


def look(
    completeness: Completeness = Completeness.UNKNOWN,
    *,
    being_written: bool | None = False,
    age_seconds: float = 1000.0,
    has_control_file: bool = False,
    fingerprint: Fingerprint = PRINT,
) -> Look:
    return Look(fingerprint, completeness, being_written, age_seconds, has_control_file)


def verdict(watched: Watched, seen: Look, now: float) -> Verdict:
    return settle(observe(watched, seen, now), seen, now, SETTLE_SECONDS)


def seen_by_event(now: float = 0.0, *, closed: bool = True) -> Watched:
    return first_sight(PATH, now, closed=closed, age_seconds=None, settle_seconds=SETTLE_SECONDS)


class TestSingleLooks:
    @pytest.mark.parametrize("completeness", Completeness)
    @pytest.mark.parametrize("now", [0.0, 1e6])
    def test_a_file_that_somebody_writes_waits_whatever_it_looks_like(
        self, completeness: Completeness, now: float
    ) -> None:
        assert verdict(seen_by_event(), look(completeness, being_written=True), now) is Verdict.WAIT

    @pytest.mark.parametrize("completeness", Completeness)
    @pytest.mark.parametrize("now", [0.0, 1e6])
    def test_a_file_with_a_control_file_beside_it_waits_whatever_it_looks_like(
        self, completeness: Completeness, now: float
    ) -> None:
        assert verdict(seen_by_event(), look(completeness, has_control_file=True), now) is Verdict.WAIT

    @pytest.mark.parametrize("being_written", [False, None])
    def test_a_closed_file_that_is_proven_whole_is_taken_at_once(self, being_written: bool | None) -> None:
        whole = look(Completeness.WHOLE, being_written=being_written, age_seconds=0.0)
        assert verdict(seen_by_event(), whole, 0.0) is Verdict.TAKE

    def test_a_whole_file_of_which_nobody_can_tell_that_it_is_closed_waits(self) -> None:
        whole = look(Completeness.WHOLE, being_written=None, age_seconds=0.0)
        assert verdict(seen_by_event(closed=False), whole, 1.0) is Verdict.WAIT

    @pytest.mark.parametrize("closed", [True, False])
    def test_a_file_that_proves_nothing_waits_for_its_quiet_time(self, closed: bool) -> None:
        watched = observe(seen_by_event(closed=closed), look(), 0.0)
        assert settle(watched, look(), SETTLE_SECONDS - 0.01, SETTLE_SECONDS) is Verdict.WAIT
        assert settle(watched, look(), SETTLE_SECONDS, SETTLE_SECONDS) is Verdict.TAKE

    @pytest.mark.parametrize("grown", [PRINT._replace(size_bytes=101), PRINT._replace(mtime_ns=1001)])
    def test_a_change_of_size_or_mtime_starts_the_quiet_time_anew(self, grown: Fingerprint) -> None:
        watched = observe(seen_by_event(), look(), 0.0)
        assert verdict(watched, look(fingerprint=grown), SETTLE_SECONDS + 1) is Verdict.WAIT

    def test_a_change_takes_back_that_the_file_was_closed(self) -> None:
        watched = observe(seen_by_event(), look(), 0.0)
        grown = look(Completeness.WHOLE, being_written=None, fingerprint=PRINT._replace(size_bytes=101))
        assert verdict(watched, grown, 1.0) is Verdict.WAIT

    def test_a_change_before_the_first_look_counts_as_a_change(self) -> None:
        """A queue of other files may keep the first look back for longer than the quiet time."""
        changed_just_now = look(being_written=None, age_seconds=0.5)
        assert verdict(seen_by_event(), changed_just_now, SETTLE_SECONDS + 1) is Verdict.WAIT

    def test_a_file_that_is_proven_to_be_cut_off_is_never_taken(self) -> None:
        watched = observe(seen_by_event(), look(), 0.0)
        assert settle(watched, look(Completeness.CUT_OFF), 1.0, SETTLE_SECONDS) is Verdict.WAIT
        assert settle(watched, look(Completeness.CUT_OFF), 1e9, SETTLE_SECONDS) is Verdict.CUT_OFF

    @pytest.mark.parametrize("completeness", [Completeness.EMPTY, Completeness.POINTER])
    def test_a_stub_is_no_model_once_it_is_quiet(self, completeness: Completeness) -> None:
        assert verdict(seen_by_event(), look(completeness, age_seconds=1.0), 1.0) is Verdict.WAIT
        assert verdict(seen_by_event(), look(completeness, age_seconds=-50.0), 1.0) is Verdict.WAIT
        assert verdict(seen_by_event(), look(completeness, age_seconds=-50.0), SETTLE_SECONDS) is Verdict.NO_MODEL
        assert verdict(seen_by_event(), look(completeness, age_seconds=SETTLE_SECONDS), 1.0) is Verdict.NO_MODEL

    def test_a_file_that_a_scan_found_long_after_its_last_change_is_taken_at_once(self) -> None:
        watched = first_sight(PATH, 50.0, closed=False, age_seconds=1000.0, settle_seconds=SETTLE_SECONDS)
        assert verdict(watched, look(being_written=None), 50.0) is Verdict.TAKE

    @pytest.mark.parametrize("age_seconds", [0.0, SETTLE_SECONDS - 0.01, -1e6])
    def test_a_file_that_a_scan_found_fresh_or_from_the_future_waits(self, age_seconds: float) -> None:
        watched = first_sight(PATH, 50.0, closed=False, age_seconds=age_seconds, settle_seconds=SETTLE_SECONDS)
        assert verdict(watched, look(age_seconds=age_seconds), 50.0) is Verdict.WAIT

    def test_a_file_from_the_future_is_taken_when_it_was_quiet(self) -> None:
        watched = first_sight(PATH, 50.0, closed=False, age_seconds=-1e6, settle_seconds=SETTLE_SECONDS)
        assert verdict(watched, look(age_seconds=-1e6), 50.0 + SETTLE_SECONDS) is Verdict.TAKE


class TestNextLook:
    def test_it_comes_when_the_quiet_time_is_over(self) -> None:
        assert next_look_at(Watched(PATH, changed_at=10.0), look(), 11.0, SETTLE_SECONDS) == 10.0 + SETTLE_SECONDS

    def test_it_comes_later_when_the_file_was_changed_after_its_event(self) -> None:
        changed = look(age_seconds=1.0)
        assert next_look_at(Watched(PATH, changed_at=10.0), changed, 13.5, SETTLE_SECONDS) == 12.5 + SETTLE_SECONDS

    @pytest.mark.parametrize("settle_seconds", [0.0, 0.001, SETTLE_SECONDS])
    def test_a_file_that_is_held_open_is_not_looked_at_all_the_time(self, settle_seconds: float) -> None:
        next_look = next_look_at(Watched(PATH, changed_at=0.0), look(), 500.0, settle_seconds)
        assert next_look >= 500.0 + max(settle_seconds, 0.05)


class Settling(RuleBasedStateMachine):
    """A file, what happens to it, and looks at it. Times are halves of seconds, so that sums are exact."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.size_bytes = 1
        self.completeness = Completeness.UNKNOWN
        self.being_written: bool | None = None
        self.has_control_file = False
        self.disturbed_at = self.now
        self.changed_at = self.now
        self.is_closed = False
        self.watched = seen_by_event(self.now)

    def look(self) -> Look:
        print_ = PRINT._replace(size_bytes=self.size_bytes)
        return Look(print_, self.completeness, self.being_written, self.now - self.changed_at, self.has_control_file)

    def event_seen(self, *, closed: bool) -> None:
        # As the stage does: an event begins the record anew, and the first look follows at once.
        self.disturbed_at = self.now
        self.is_closed = closed
        self.watched = seen_by_event(self.now, closed=closed)
        self.look_at_it()

    @initialize(closed=st.booleans())
    def appear(self, closed: bool) -> None:
        self.event_seen(closed=closed)

    @rule(halves=st.integers(1, 12))
    def time_passes(self, halves: int) -> None:
        self.now += halves / 2

    @rule(completeness=st.sampled_from(Completeness), tells=st.booleans())
    def write(self, completeness: Completeness, tells: bool) -> None:
        self.size_bytes += 1
        self.completeness = completeness
        self.changed_at = self.disturbed_at = self.now
        self.being_written = True if tells else None
        self.is_closed = False

    @rule()
    def close_unnoticed(self) -> None:
        self.being_written = None if self.being_written is None else False

    @precondition(lambda self: not self.being_written)
    @rule(closed=st.booleans())
    def hear_of_it(self, closed: bool) -> None:
        self.event_seen(closed=closed)

    @rule(has_control_file=st.booleans())
    def aria2_begins_or_ends(self, has_control_file: bool) -> None:
        self.has_control_file = has_control_file

    @rule()
    def look_at_it(self) -> None:
        seen = self.look()
        self.watched = observe(self.watched, seen, self.now)
        result = settle(self.watched, seen, self.now, SETTLE_SECONDS)
        if result is not Verdict.WAIT:
            assert not self.being_written
            assert not self.has_control_file
        is_quiet = self.now - self.disturbed_at >= SETTLE_SECONDS
        if result is Verdict.TAKE:
            is_proven = self.completeness is Completeness.WHOLE and (self.is_closed or self.being_written is False)
            assert is_quiet or is_proven
            assert self.completeness in (Completeness.WHOLE, Completeness.UNKNOWN)
        if result is Verdict.CUT_OFF:
            assert is_quiet
            assert self.completeness is Completeness.CUT_OFF
        if result is Verdict.NO_MODEL:
            assert self.completeness in (Completeness.EMPTY, Completeness.POINTER)

    def teardown(self) -> None:
        """Whatever happened: once all is quiet, the file is decided about within a few looks."""
        self.being_written = False if self.being_written else self.being_written
        self.has_control_file = False
        for _ in range(4):
            seen = self.look()
            self.watched = observe(self.watched, seen, self.now)
            result = settle(self.watched, seen, self.now, SETTLE_SECONDS)
            if result is not Verdict.WAIT:
                break
            self.now = next_look_at(self.watched, seen, self.now, SETTLE_SECONDS)
        expected = {Completeness.CUT_OFF: Verdict.CUT_OFF, Completeness.EMPTY: Verdict.NO_MODEL}
        expected[Completeness.POINTER] = Verdict.NO_MODEL
        assert result is expected.get(self.completeness, Verdict.TAKE)


Settling.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestEveryOrder = Settling.TestCase
