"""Power cuts on a disk that keeps no more than POSIX promises, before every call that a life makes."""

import pytest
from tests.crash.film import Film
from tests.crash.films import PROGRAMMES
from tests.crash.living import Scene
from tests.crash.system_calls import require_strace
from tests.crash.trials import assert_all_well, end_of_film_trials, power_cut_trials, some

LIVES = ("life", "recovery of pictures", "recovery of the journal")
CUTS = 50
LUCKY_CUTS = 24


@pytest.fixture(autouse=True)
def _strace() -> None:
    require_strace()


def film(scene: Scene, name: str) -> Film:
    return PROGRAMMES[name].make(scene)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_what_was_acknowledged_outlasts_a_power_cut_at_any_call(first: Scene, name: str) -> None:
    programme = PROGRAMMES[name]
    assert_all_well(some(power_cut_trials(programme, film(first, name)), CUTS))


def test_an_import_that_changes_a_row_outlasts_a_power_cut_at_any_call(again: Scene) -> None:
    programme = PROGRAMMES["life"]
    assert_all_well(some(power_cut_trials(programme, film(again, "life")), CUTS))


def test_a_kill_at_any_call_and_a_power_cut_on_a_lucky_disk_come_to_the_same_end(first: Scene) -> None:
    assert_all_well(some(end_of_film_trials(film(first, "life"), seed=1), LUCKY_CUTS))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PROGRAMMES)
@pytest.mark.parametrize("scene", ["first", "again"])
def test_a_power_cut_before_every_call(
    scene: str, name: str, rounds: int, seed: int, request: pytest.FixtureRequest
) -> None:
    trials = power_cut_trials(PROGRAMMES[name], film(request.getfixturevalue(scene), name))
    assert_all_well(some(trials, rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", LIVES)
def test_a_kill_and_a_lucky_power_cut_before_every_call(first: Scene, name: str, rounds: int, seed: int) -> None:
    assert_all_well(some(end_of_film_trials(film(first, name), seed), rounds, seed))
