"""A data folder in which the owner does one thing, and what has to be so after a crash in the middle of it."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.end_state import database_faults, story_faults
from tests.crash.job import Job
from tests.crash.journal_story import read_story
from tests.crash.living import KILLED, Nursery, acknowledged, said
from tests.crash.trials import Trial
from tests.integration.kept import dump, read_kept
from tests.libraries import sha256_of

from modelkeep.doctor.examination import examine
from modelkeep.settings.model import Settings

BATCH = Path(__file__).with_name("owner_batch.py")

State = dict[str, Any]


@contextmanager
def owners_nursery() -> Iterator[Nursery]:
    """Run a nursery."""
    opened = Nursery(BATCH)
    try:
        yield opened
    finally:
        opened.close()


def make_library(folder: Path, nursery: Nursery) -> Path:
    """Make the data folder from which lives start."""
    folder.mkdir(parents=True)
    job = _job(folder, "library")
    _live_well(nursery, job)
    return Path(job.data_dir)


@dataclass
class OwnerScene:
    """Lives in which the owner does one thing.

    `before` and `after` are the two states of which every crash has to come to one.
    """

    folder: Path
    nursery: Nursery
    act: str
    library: Path
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        job = self.new_job()
        self.before = state_of(Path(job.data_dir))
        self.live_well(job)
        self.after = state_of(Path(job.data_dir))

    def new_job(self, like: Job | None = None) -> Job:
        """Return a life that nobody has lived yet, in a copy of the library or of what another life has left."""
        place = self.folder / str(next(self._numbers))
        place.mkdir(parents=True)
        shutil.copytree(like.data_dir if like else self.library, place / "state")
        if like and Path(like.acknowledgements).exists():
            shutil.copyfile(like.acknowledgements, place / "acknowledged")
        return _job(place, self.act)

    def live_well(self, job: Job) -> None:
        """Live a job that has to come to its end."""
        _live_well(self.nursery, job)

    def crash(self, job: Job, point: str) -> bool:
        """Live a job until a fail point; returns whether it was reached."""
        status = self.nursery.live(job.but(fail_point=point))
        assert status in (0, KILLED), f"it ended with {status} at {point}; it said:\n{said(job)}"
        return status == KILLED

    def points(self, job: Job) -> list[str]:
        """Live a job to its end; returns the fail points that it reached, as `name@n`, in their order."""
        log = Path(job.output).with_name("points")
        self.live_well(job.but(fail_point_log=str(log)))
        # That folders are made at an opening is not what happens here.
        return [point for point in log.read_text().splitlines() if not point.startswith("folder.")]

    def faults_after(self, job: Job) -> list[str]:
        """Recover and judge, then let the owner do it again where it is not done."""
        data_dir = Path(job.data_dir)
        self.live_well(job.but(program="nothing"))
        faults = list(faults_of(data_dir))
        state = state_of(data_dir)
        if state not in (self.before, self.after):
            return [*faults, f"half of it is done: {_difference(self.before, self.after, state)}"]
        if "done" in acknowledged(job) and state != self.after:
            faults.append("it was done and is not any more")
        if state != self.after:
            self.live_well(job)
            if state_of(data_dir) != self.after:
                faults.append(f"done again it comes to another end: {_difference(self.after, state_of(data_dir))}")
        return faults

    def remove(self, job: Job) -> None:
        """Make room."""
        shutil.rmtree(Path(job.data_dir).parent)


def _job(place: Path, program: str) -> Job:
    return Job(
        data_dir=str(place / "state"),
        source="",
        root="",
        acknowledgements=str(place / "acknowledged"),
        output=str(place / "output"),
        program=program,
    )


def _live_well(nursery: Nursery, job: Job) -> None:
    status = nursery.live(job)
    assert status == 0, f"{job.program} ended with {status}; it said:\n{said(job)}"


def state_of(data_dir: Path) -> State:
    """Return all that the owner would see: every table, and every file with its bytes."""
    images = data_dir / "images"
    files = {str(path.relative_to(images)): sha256_of(path) for path in images.rglob("*") if path.is_file()}
    return {**dump(data_dir), "files": files}


def faults_of(data_dir: Path) -> Iterator[str]:
    """Yield what is wrong with a data folder that nobody has open."""
    yield from database_faults(data_dir)
    yield from story_faults(read_story(data_dir / "journal"), read_kept(data_dir))
    settings = Settings.model_validate({"data_dir": data_dir, "roots": [{"path": "/models"}], "api": {"socket": ""}})
    about_us = {"catalogue", "journal", "images", "originals", "leftovers", "queue", "models"}
    for finding in examine(settings).findings:
        if finding.is_wrong and finding.check in about_us:
            yield f"the doctor says of {finding.check}: {finding.sentence}"


def crash_trials(scene: OwnerScene) -> list[Trial]:
    """Return a trial for each time at which the act reaches a fail point."""
    return [
        Trial(f"{scene.act}: killed at {point}", _Killed(scene, point)) for point in scene.points(scene.new_job())
    ]


def second_crash_trials(scene: OwnerScene, points: list[str]) -> Iterator[Trial]:
    """Yield, for each point of an act, a trial for each point of the recovery from a crash there."""
    for point in points:
        crashed = scene.new_job()
        assert scene.crash(crashed, point), f"{point} was not reached"
        recovering = scene.new_job(crashed).but(program="nothing")
        for second in scene.points(recovering):
            name = f"{scene.act}: killed at {point}, and at {second} of the recovery"
            yield Trial(name, _KilledAgain(scene, crashed, second))


@dataclass(frozen=True)
class _Killed:
    scene: OwnerScene
    point: str

    def __call__(self) -> list[str] | None:
        job = self.scene.new_job()
        return _judged(self.scene, job) if self.scene.crash(job, self.point) else None


@dataclass(frozen=True)
class _KilledAgain:
    scene: OwnerScene
    crashed: Job
    point: str

    def __call__(self) -> list[str] | None:
        job = self.scene.new_job(self.crashed)
        recovering = job.but(program="nothing")
        return _judged(self.scene, job) if self.scene.crash(recovering, self.point) else None


def _judged(scene: OwnerScene, job: Job) -> list[str]:
    faults = scene.faults_after(job)
    if not faults:
        scene.remove(job)
    return faults


def _difference(*states: State) -> str:
    keys = [key for key in states[0] if any(state[key] != states[0][key] for state in states)]
    return "; ".join(f"{key}: {[state[key] for state in states]}" for key in keys)[:2000]
