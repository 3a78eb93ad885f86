"""The films that are made: between them they show every place of the program that syncs anything."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tests.crash.film import Film
from tests.crash.job import Job
from tests.crash.living import Scene
from tests.crash.promises import (
    broken_by_backup,
    broken_by_journal,
    broken_by_life,
    broken_by_orphans,
    broken_by_pictures,
)

Judge = Callable[[Film, int, Collection[str]], list[str]]


@dataclass(frozen=True)
class Programme:
    """How a film is made, and who judges its cuts."""

    make: Callable[[Scene], Film]
    judge: Judge


def _life(scene: Scene) -> Film:
    return Film(scene, lambda job: job)


def _recovery_of_pictures(scene: Scene) -> Film:
    """A life that ends between its last commit and the names of the pictures, and the recovery from it."""
    point = [point for point in scene.points(scene.new_job()) if point.startswith("picture.publish.before")][-1]
    return Film(scene, _killed_at(point), _recovered)


def _recovery_of_the_journal(scene: Scene) -> Film:
    """A life that ends right after its last record, which is not on the disk then, and the recovery from it."""
    point = [point for point in scene.points(scene.new_job()) if point.startswith("journal.append.after")][-1]
    return Film(scene, _killed_at(point), _recovered)


def _journal(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="journal"))


def _torn_journal(scene: Scene) -> Film:
    def tear(job: Job) -> None:
        scene.live_well(job.but(program="journal", inline=True))
        Path(job.acknowledgements).unlink()
        newest = max((Path(job.data_dir) / "deep" / "journal").iterdir())
        newest.write_bytes(newest.read_bytes()[:-5])

    return Film(scene, lambda job: job.but(program="journal"), prepare=tear)


def _pictures(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="pictures", source=str(_first_picture(scene))))


def _orphans(scene: Scene) -> Film:
    picture = _first_picture(scene)

    def place(job: Job) -> None:
        pending = Path(job.data_dir) / "images" / "pending"
        pending.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, pending / "orphan.png")

    return Film(scene, lambda job: job.but(program="orphans", source=str(picture)), prepare=place)


def _backup(scene: Scene) -> Film:
    def live(job: Job) -> None:
        scene.live_well(job.but(inline=True))
        Path(job.acknowledgements).unlink()

    return Film(scene, lambda job: job.but(program="backup"), prepare=live)


def _first_picture(scene: Scene) -> Path:
    return next((scene.library.source.parent / "images").glob("model_1_*"))


def _killed_at(point: str) -> Callable[[Job], Job]:
    return lambda job: job.but(inline=True, fail_point=point)


def _recovered(job: Job) -> Job:
    return job.but(until="recovered")


PROGRAMMES: dict[str, Programme] = {
    "journal": Programme(_journal, broken_by_journal),
    "torn journal": Programme(_torn_journal, broken_by_journal),
    "pictures": Programme(_pictures, broken_by_pictures),
    "orphans": Programme(_orphans, broken_by_orphans),
    "backup": Programme(_backup, broken_by_backup),
    "recovery of pictures": Programme(_recovery_of_pictures, broken_by_life),
    "recovery of the journal": Programme(_recovery_of_the_journal, broken_by_life),
    "life": Programme(_life, broken_by_life),
}
"""Small ones first: what one of them shows need not be looked for in a whole life."""
