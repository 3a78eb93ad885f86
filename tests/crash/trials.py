"""Trials: one crash each, with a name by which it can be had again. Tests take some of them, the soak takes all."""

import json
import os
import random
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.crash.film import Film, Programme, kill, lucky_power_cut
from tests.crash.job import Job
from tests.crash.living import KILLED, Scene, said

TALLY = "MODELKEEPTEST_TALLY"
"""Names the file to which each test writes how many crashes it has tried."""

LEAST_SHARE = 0.25
"""So many of the crashes that are tried have to come about; on a busy machine threads take turns otherwise."""

LIFE_SECONDS = 0.35
"""About as long as a life takes."""


T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """A crash; `run` returns what is wrong after it, or None when it did not come about.

    Threads take turns otherwise from run to run, so not every point and every call is met again.
    """

    name: str
    run: Callable[[], list[str] | None]


def assert_all_well(trials: Iterable[Trial]) -> None:
    """Run trials; fail with what is wrong after any of them."""
    results = {trial.name: trial.run() for trial in trials}
    crashes = {name: faults for name, faults in results.items() if faults is not None}
    found = [f"{name}: {'; '.join(faults[:3])}" for name, faults in crashes.items() if faults]
    count(len(crashes), len(found))
    assert not found, "\n".join([f"{len(found)} of {len(crashes)} crashes left something wrong:", *found[:12]])
    assert crashes, "nothing was tried"
    assert len(crashes) >= int(LEAST_SHARE * len(results)), (
        f"of {len(results)} crashes only {len(crashes)} came about"
    )


def count(crashes: int, failed: int) -> None:
    """Add to the soak's tally, if there is one."""
    tally = os.environ.get(TALLY)
    if tally:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0].rpartition("::")[2]
        with Path(tally).open("a") as file:
            file.write(json.dumps({"test": test, "crashes": crashes, "failed": failed}) + "\n")


def some(trials: Sequence[T], number: int, seed: int = 1) -> list[T]:
    """Choose so many, the same ones each time, spread over all of them."""
    if len(trials) <= number:
        return list(trials)
    step, shift = len(trials) / number, random.Random(seed).random()
    return [trials[int((index + shift) * step) % len(trials)] for index in range(number)]


# Fail points


def fail_point_trials(scene: Scene) -> list[Trial]:
    """Return a trial for each time at which a life reaches a fail point."""
    return [Trial(f"killed at {point}", _killed_at(scene, point)) for point in scene.points(scene.new_job())]


def few_of_each_point(trials: Sequence[Trial]) -> list[Trial]:
    """Choose one time at which each point is reached, the first or the last in turns; the soak takes all."""
    by_point: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_point[trial.name.partition("@")[0]].append(trial)
    chosen = {times[-(number % 2)].name for number, times in enumerate(by_point.values())}
    return [trial for trial in trials if trial.name in chosen]


def second_crash_trials(scene: Scene, points: Iterable[str]) -> Iterator[Trial]:
    """Yield, for each point of a life, a trial for each point of the recovery from a crash there."""
    for point in points:
        crashed = scene.new_job()
        if not crash(scene, crashed, point):
            continue
        rehearsed = copy_of(scene, crashed)
        for second in scene.points(rehearsed.but(until="recovered")):
            name = f"killed at {point}, and at {second} of the recovery"
            yield Trial(name, _killed_again_at(scene, crashed, second))


def moment_trials(scene: Scene, rounds: int, seed: object) -> Iterator[Trial]:
    """Yield trials that kill a life at any moment, and at times its recovery too."""
    for number in range(rounds):
        yield Trial(f"round {number} of seed {seed}: killed at any moment", _killed_any_time(scene, (seed, number)))


def _killed_any_time(scene: Scene, seed: object) -> Callable[[], list[str]]:
    def run() -> list[str]:
        chance, job = random.Random(repr(seed)), scene.new_job()
        scene.nursery.live(job, kill_after(chance.uniform(0, LIFE_SECONDS)))
        while chance.random() < 0.4:
            recovering = job.but(until=chance.choice(("recovered", "closed")))
            scene.nursery.live(recovering, kill_after(chance.uniform(0, LIFE_SECONDS / 2)))
        return judged(scene, job)

    return run


def kill_after(seconds: float) -> Callable[[int], None]:
    """Return what kills a process after a while, if it is still there."""

    def wait_and_kill(process: int) -> None:
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    return wait_and_kill


def _killed_at(scene: Scene, point: str) -> Callable[[], list[str] | None]:
    def run() -> list[str] | None:
        job = scene.new_job()
        return judged(scene, job) if crash(scene, job, point) else None

    return run


def _killed_again_at(scene: Scene, crashed: Job, point: str) -> Callable[[], list[str] | None]:
    def run() -> list[str] | None:
        job = copy_of(scene, crashed)
        return judged(scene, job) if crash(scene, job.but(until="recovered"), point) else None

    return run


def crash(scene: Scene, job: Job, point: str) -> bool:
    """Live a job until a point; returns whether it was reached."""
    status = scene.nursery.live(job.but(fail_point=point))
    assert status in (0, KILLED), f"it ended with {status} at {point}; it said:\n{said(job)}"
    return status == KILLED


def copy_of(scene: Scene, job: Job) -> Job:
    """Return a new job whose folder is as another's."""
    copied = scene.new_job()
    shutil.rmtree(copied.data_dir, ignore_errors=True)
    if Path(job.data_dir).exists():
        shutil.copytree(job.data_dir, copied.data_dir)
    if Path(job.acknowledgements).exists():
        shutil.copyfile(job.acknowledgements, copied.acknowledgements)
    return copied


def judged(scene: Scene, job: Job, *, damage_is_fine: bool = False) -> list[str]:
    """Return what is wrong after a crash; makes room when that is nothing."""
    faults = scene.faults_after(job, damage_is_fine=damage_is_fine)
    if not faults:
        scene.remove(job)
    return faults


# Films


def power_cut_trials(programme: Programme, film: Film) -> list[Trial]:
    """Return a trial for each call of a film before which the power may be cut."""
    return [
        Trial(f"power cut before call {number} ({_told(film, number)})", _cut(programme, film, number))
        for number in film.cuts()
    ]


def end_of_film_trials(film: Film, seed: int) -> list[Trial]:
    """Return trials that end a life before each call, by a kill and by a power cut on a lucky disk, and live on."""
    return [
        Trial(f"{name} before call {number} ({_told(film, number)})", _ended(film, number, name, seed))
        for number in film.cuts()
        for name in ("kill", f"lucky power cut {seed}")
    ]


def _cut(programme: Programme, film: Film, number: int) -> Callable[[], list[str]]:
    return lambda: programme.judge(film, number, ())


def _ended(film: Film, number: int, name: str, seed: int) -> Callable[[], list[str]]:
    is_kill = name == "kill"

    def run() -> list[str]:
        job = film.end(number, kill if is_kill else lucky_power_cut((seed, number)))
        return judged(film.scene, job, damage_is_fine=not is_kill)

    return run


def _told(film: Film, number: int) -> str:
    if number == len(film.calls):
        return "the end"
    call = film.calls[number]
    return f"{call.name} {Path(call.path).relative_to(film.home)}"
