"""A kill at every named point, before and after every durable step, and another one during the recovery from it."""

import itertools

import pytest
from tests.crash.living import Scene
from tests.crash.trials import (
    assert_all_well,
    fail_point_trials,
    few_of_each_point,
    moment_trials,
    second_crash_trials,
    some,
)

SCENES = ("first", "again", "short", "lying")
WANTED = {
    "again": ("pending_", "commit", "file.sync"),
    "short": ("remove_segment", "rotate"),
    "lying": ("pending_", "commit", "file.sync"),
}
"""Parts of the names of the points for which a scene is made; the others are tried in the first one."""

PARTS = 2
"""Each scene is divided among so many tests, which run at the same time."""

RECOVERIES = (
    *("catalogue.commit.before@4", "catalogue.commit.after@3", "journal.append.after@2", "journal.sync.after@2"),
    *("pending_folder.sync.after@1", "image.publish.after@2", "image.publish.before@8"),
    *("pending_image.remove.before@2", "file.sync.after@11"),
)
"""Points from which a recovery has something to do."""

RECOVERIES_AT_LEAST = 8
"""From so many points the soak recovers; with 1,000 crashes a test, from all."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scene", SCENES)
def test_a_kill_at_every_point_leaves_nothing_half_and_comes_to_the_same_end(
    scene: str, part: int, request: pytest.FixtureRequest
) -> None:
    trials = few_of_each_point(fail_point_trials(request.getfixturevalue(scene)))
    share = trials if scene == "first" else [trial for trial in trials if _is_of(scene, trial.name)]
    assert_all_well(share[part::PARTS])


def _is_of(scene: str, name: str) -> bool:
    """Return whether a point is one for which a scene is made."""
    return any(part in name for part in WANTED[scene])


@pytest.mark.parametrize("part", range(PARTS))
def test_a_second_kill_during_the_recovery_changes_nothing(first: Scene, part: int) -> None:
    trials = list(second_crash_trials(first, RECOVERIES[part::PARTS]))
    assert_all_well(some(trials, 5))


def test_kills_at_any_moment_come_to_the_same_end(first: Scene, again: Scene, lying: Scene) -> None:
    trials = (moment_trials(first, 3, seed=1), moment_trials(again, 2, seed=2), moment_trials(lying, 2, seed=3))
    assert_all_well(itertools.chain(*trials))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scene", SCENES)
def test_a_kill_whenever_a_point_is_reached(scene: str, rounds: int, request: pytest.FixtureRequest) -> None:
    assert_all_well(some(fail_point_trials(request.getfixturevalue(scene)), rounds))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scene", SCENES)
def test_a_second_kill_at_every_point_of_every_recovery(
    scene: str, rounds: int, seed: int, request: pytest.FixtureRequest
) -> None:
    stage: Scene = request.getfixturevalue(scene)
    points = some(stage.points(stage.new_job()), max(RECOVERIES_AT_LEAST, rounds // 4), seed)
    assert_all_well(some(list(second_crash_trials(stage, points)), rounds, seed))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scene", SCENES)
def test_many_kills_at_any_moment(scene: str, rounds: int, seed: int, request: pytest.FixtureRequest) -> None:
    assert_all_well(moment_trials(request.getfixturevalue(scene), rounds, seed))
