"""Power cuts on a disk that keeps no more than POSIX promises, before every call that a life makes."""

import pytest
from tests.crash.films import PROGRAMMES, Filmed
from tests.crash.living import Scene
from tests.crash.system_calls import require_strace
from tests.crash.trials import assert_all_well, end_of_film_trials, power_cut_trials, some

LIVES = ("life", "false claim", "half-made folder", "recovery of images", "recovery of the journal")
CUTS = 8
LUCKY_CUTS = 6


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


@pytest.mark.parametrize("name", PROGRAMMES)
def test_what_was_acknowledged_outlasts_a_power_cut_at_any_call(filmed: Filmed, name: str) -> None:
    assert_all_well(some(power_cut_trials(PROGRAMMES[name], filmed(name)), CUTS))


def test_an_import_that_changes_a_row_outlasts_a_power_cut_at_any_call(again: Scene) -> None:
    programme = PROGRAMMES["life"]
    assert_all_well(some(power_cut_trials(programme, programme.make(again)), CUTS))


def test_a_kill_at_any_call_and_a_power_cut_on_a_lucky_disk_come_to_the_same_end(filmed: Filmed) -> None:
    assert_all_well(some(end_of_film_trials(filmed("life"), seed=1), LUCKY_CUTS))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PROGRAMMES)
@pytest.mark.parametrize("scene", ["first", "again"])
def test_a_power_cut_before_every_call(
    scene: str, name: str, rounds: int, seed: int, request: pytest.FixtureRequest
) -> None:
    stage: Scene = request.getfixturevalue(scene)
    trials = power_cut_trials(PROGRAMMES[name], PROGRAMMES[name].make(stage))
    assert_all_well(some(trials, rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", LIVES)
def test_a_kill_and_a_lucky_power_cut_before_every_call(filmed: Filmed, name: str, rounds: int, seed: int) -> None:
    assert_all_well(some(end_of_film_trials(filmed(name), seed), rounds, seed))
