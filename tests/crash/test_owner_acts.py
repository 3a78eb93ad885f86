"""A kill at every named point while the owner changes images, models or tags, and of the recovery."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crash.owner_lives import ACTS, ADDED, ALONE, GONE, IMAGED, IMAGES, image
from tests.crash.owner_scene import (
    OwnerScene,
    crash_trials,
    make_library,
    owners_nursery,
    second_crash_trials,
)
from tests.crash.trials import assert_all_well, few_of_each_point, some
from tests.libraries import sha256_of

from modelkeep.images.tiers import render_tiers

SceneOf = Callable[[str], OwnerScene]

HALFWAY = {
    "remove the first": ["image.link.after@4", "catalogue.commit.after@1", "image.publish.after@4"],
    "purge": ["image.remove.after@1", "pending_image.remove.before@1"],
    "add": ["file.sync.after@2", "image.publish.after@1"],
    "inherit": ["image.link.after@2", "catalogue.commit.after@1", "image.publish.after@2"],
}
"""Points from which a recovery has something to do."""

TRIED = {"remove the first": 22, "remove the last": 6, "add": 9, "purge": 9}
TRIED |= {"inherit": 12, "edit": 6, "rename a tag": 4, "remove a tag": 4, "adopt": 4}
"""How many crashes are tried of each act; the soak tries all."""


@pytest.fixture(scope="module")
def scene_of(fast_folder: Path) -> Iterator[SceneOf]:
    """Return the scene of an act."""
    with owners_nursery() as nursery:
        library = make_library(fast_folder / "library", nursery)
        scenes: dict[str, OwnerScene] = {}

        def scene_of(act: str) -> OwnerScene:
            if act not in scenes:
                scenes[act] = OwnerScene(fast_folder / act.replace(" ", "-"), nursery, act, library)
            return scenes[act]

        yield scene_of


def test_each_image_is_in_its_place_when_the_first_is_removed(scene_of: SceneOf) -> None:
    scene = scene_of("remove the first")
    seeds = IMAGES[IMAGED]
    assert _published(scene.before, IMAGED) == _expected(IMAGED, seeds)
    assert _published(scene.after, IMAGED) == _expected(IMAGED, seeds[1:])


def test_an_added_image_is_the_last(scene_of: SceneOf) -> None:
    after = scene_of("add").after
    assert _published(after, IMAGED) == _expected(IMAGED, (*IMAGES[IMAGED], ADDED))


def test_nothing_is_left_of_what_is_purged(scene_of: SceneOf) -> None:
    scene = scene_of("purge")
    assert GONE in repr(scene.before)
    rows = {table: rows for table, rows in scene.after.items() if table not in ("imported_rows", "pending_import")}
    assert GONE not in repr(rows)
    assert [row for row in scene.after["pending_import"] if "waiting" in row]
    assert not [name for name in scene.after["files"] if name.startswith("pending/")]


def test_an_edit_changes_one_row_and_the_tags_of_one_model(scene_of: SceneOf) -> None:
    scene = scene_of("edit")
    assert {table for table, rows in scene.after.items() if rows != scene.before[table]} == {"models", "model_tags"}
    (edited,) = set(scene.after["models"]) - set(scene.before["models"])
    assert "edited" in edited
    assert "other words" in str(edited)


def test_what_another_tool_says_is_kept_applied_and_asked_about(scene_of: SceneOf) -> None:
    scene = scene_of("adopt")
    changed = {table for table, rows in scene.after.items() if rows != scene.before[table]}
    told = {"source_records", "record_targets", "record_claims", "knowledge", "models", "tags", "model_tags"}
    assert changed == told | {"pending_import"}


def test_what_takes_over_has_the_images_of_the_other_after_its_own(scene_of: SceneOf) -> None:
    scene = scene_of("inherit")
    assert _published(scene.after, ALONE) == _expected(ALONE, (*IMAGES[ALONE], *IMAGES[GONE]))
    assert _published(scene.after, GONE) == _expected(GONE, IMAGES[GONE])


@pytest.mark.parametrize("act", ACTS)
def test_a_kill_at_every_point_of_an_act_leaves_all_or_nothing_of_it(scene_of: SceneOf, act: str) -> None:
    trials = few_of_each_point(crash_trials(scene_of(act)))
    assert_all_well(some(trials, TRIED[act]))


@pytest.mark.parametrize("act", HALFWAY)
def test_a_second_kill_during_the_recovery_of_an_act_changes_nothing(scene_of: SceneOf, act: str) -> None:
    assert_all_well(some(list(second_crash_trials(scene_of(act), HALFWAY[act])), 4))


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("act", ACTS)
def test_a_kill_whenever_a_point_is_reached_and_whenever_one_of_its_recovery(
    scene_of: SceneOf, act: str, rounds: int, seed: int
) -> None:
    scene = scene_of(act)
    first = crash_trials(scene)
    assert_all_well(some(first, rounds, seed))
    points = scene.points(scene.new_job())
    assert_all_well(some(list(second_crash_trials(scene, points)), rounds, seed))


def _published(state: dict[str, dict[str, str]], sha256: str) -> dict[str, str]:
    return {name: digest for name, digest in state["files"].items() if name.startswith(sha256)}


def _expected(sha256: str, seeds: tuple[int, ...]) -> dict[str, str]:
    return {
        f"{sha256}_{seq}_{quality}.webp": sha256_of(content)
        for seq, seed in enumerate(seeds)
        for quality, content in render_tiers(image(seed), "x").files.items()
    }
