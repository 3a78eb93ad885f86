"""Real processes whose n-th system call on a path is their last, or fails: no step is left out that has no point."""

import pytest
from tests.crash.disturbances import (
    ERRORS,
    error_trials,
    kill_trials,
    sync_error_trials,
)
from tests.crash.film import Film
from tests.crash.system_calls import require_strace
from tests.crash.trials import assert_all_well, some

KILLS = 3
FAILURES = 1
FAILING_SYNCS = 1
CUTS_AFTER = 3
"""Of each failing sync; the soak tries twice as many."""


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


def test_a_kill_at_a_system_call_leaves_nothing_half_and_comes_to_the_same_end(fixed_film: Film) -> None:
    assert_all_well(some(kill_trials(fixed_film), KILLS))


def test_a_system_call_that_fails_is_told_or_mastered_and_comes_to_the_same_end(fixed_film: Film) -> None:
    chosen = [some(error_trials(fixed_film, error), FAILURES, seed) for seed, error in enumerate(ERRORS)]
    assert_all_well(trial for trials in chosen for trial in trials)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_what_a_failed_sync_has_left_in_doubt_is_in_order_after_a_crash(fixed_film: Film, error: str) -> None:
    trials = sync_error_trials(fixed_film, error, CUTS_AFTER)
    assert_all_well(some(trials, FAILING_SYNCS, seed=len(error)))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_kill_at_every_system_call(fixed_film: Film, rounds: int, seed: int) -> None:
    assert_all_well(some(kill_trials(fixed_film), rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_every_system_call(fixed_film: Film, error: str, rounds: int, seed: int) -> None:
    assert_all_well(some(error_trials(fixed_film, error), rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_error_of_every_sync_and_a_crash_after_it(fixed_film: Film, error: str, rounds: int, seed: int) -> None:
    assert_all_well(some(sync_error_trials(fixed_film, error), rounds, seed))
