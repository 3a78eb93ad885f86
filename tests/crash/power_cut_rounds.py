"""Rounds in which a life on a real file system loses its power: at a point, at any moment, again in the recovery."""

import random
import time
from collections.abc import Callable, Iterator

from tests.crash.file_systems import LoopDisk
from tests.crash.job import Job
from tests.crash.living import KILLED, Scene, said
from tests.crash.trials import LIFE_SECONDS, Trial, judged, kill_after

_OF_RECOVERY = (
    *("journal.append.after", "journal.sync.after", "image.publish.after", "image_folder.sync.after"),
    *("catalogue.commit.before", "catalogue.commit.after", "staging.sweep.after", "pending_image.remove.after"),
)


def power_cut_rounds(scene: Scene, disk: LoopDisk, rounds: int, seed: object) -> Iterator[Trial]:
    """Yield trials with power cuts chosen by chance: two thirds at points, the others at any moment.

    Args:
        scene: its data folders are on the disk.
        disk: loses its power.
        rounds: how many.
        seed: of the choice.
    """
    points = scene.points(scene.new_job())
    for number in range(rounds):
        chance = random.Random(repr((seed, number)))
        point = chance.choice(points) if number % 3 else ""
        name = f"round {number} of seed {seed}: power cut {f'at {point}' if point else 'at any moment'}"
        yield Trial(name, _round(scene, disk, point, chance))


def _round(scene: Scene, disk: LoopDisk, point: str, chance: random.Random) -> Callable[[], list[str]]:
    def run() -> list[str]:
        job = scene.new_job()
        if point:
            lose_power_at(scene, disk, job, point)
        else:
            _lose_power_after(scene, disk, job, chance.uniform(0, LIFE_SECONDS))
        if chance.random() < 0.3:
            again = f"{chance.choice(_OF_RECOVERY)}@{chance.randint(1, 3)}"
            lose_power_at(scene, disk, job.but(until="recovered"), again)
        return judged(scene, job)

    return run


def lose_power_at(scene: Scene, disk: LoopDisk, job: Job, point: str) -> None:
    """Live until a point, and cut the power there; threads may take turns so that it is not reached."""
    status = scene.nursery.live(job.but(fail_point=point, cut=str(disk.mount_point)))
    assert status in (0, KILLED), f"it ended with {status} at {point}; it said:\n{said(job)}"
    if status == KILLED:
        disk.restart()


def _lose_power_after(scene: Scene, disk: LoopDisk, job: Job, seconds: float) -> None:
    """Cut the power after a while."""

    def cut(process: int) -> None:
        time.sleep(seconds)
        disk.lose_power()
        kill_after(0)(process)

    scene.nursery.live(job, cut)
    disk.restart()
