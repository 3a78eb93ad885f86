"""A film of lives, call by call, that can be stopped anywhere: what would a kill or a power cut leave there?"""

import random
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.disk import Disk
from tests.crash.job import Job
from tests.crash.living import KILLED, Scene, said
from tests.crash.system_calls import Call, trace

Ending = Callable[[Disk, Path], None]
"""Puts what a crash leaves into a folder."""

PASSING = frozenset(
    {"sync", "sync_folder", "_sync_folder", "sync_and_close", "sync_pending", "close", "write_durably", "_write_all"}
    | {"make_folder", "_make_folder"}
)
"""Functions that pass on what others ask for."""


def kill(disk: Disk, place: Path) -> None:
    """End by a kill."""
    disk.after_kill(place)


def power_cut(disk: Disk, place: Path) -> None:
    """End by a power cut on a disk that keeps nothing that it need not."""
    disk.after_power_cut(place)


def lucky_power_cut(seed: object) -> Ending:
    """Return the end by a power cut on a disk that has kept some of the rest."""
    return lambda disk, place: disk.after_lucky_power_cut(place, random.Random(repr(seed)))


class Film:
    """Lives of one data folder, one after the other, as strace saw them.

    Args:
        scene: where they are lived.
        jobs: the lives; all but the last may end at a fail point.
        prepare: fills the folder before the first of them.
        disturbance: options of strace that let calls fail.
    """

    def __init__(
        self,
        scene: Scene,
        *lives: Callable[[Job], Job],
        prepare: Callable[[Job], None] = lambda _: None,
        disturbance: Sequence[str] = (),
    ) -> None:
        self.scene = scene
        self.job = scene.new_job().but(inline=False)
        prepare(self.job)
        self.home = Path(self.job.output).parent
        self._first = Disk(self.home)
        self.calls: list[Call] = []
        self.statuses: list[int] = []
        for live in lives:
            job = live(self.job)
            status, calls = trace(scene.nursery, job, disturbance)
            self.statuses.append(status)
            self.calls += calls
            assert disturbance or status == (KILLED if job.fail_point else 0), f"{status}; it said:\n{said(job)}"

    @property
    def places(self) -> set[str]:
        """Every place of the program that has asked for a sync."""
        return {place_of(call) for call in self.calls if call.is_sync and call.callers}

    @property
    def askers(self) -> set[str]:
        """Every function of the program that has asked for a sync, or has passed it on."""
        return {frame for call in self.calls if call.is_sync for frame in call.callers.split(" < ")}

    @property
    def acknowledgements(self) -> list[int]:
        """Numbers of the calls that come right after something was acknowledged."""
        path = self.job.acknowledgements
        return [n for n, call in enumerate(self.calls, start=1) if call.path == path and call.name == "write"]

    def cuts(self) -> list[int]:
        """Return before which calls a crash leaves something else than before the one before."""
        return [number for number, call in enumerate(self.calls) if _matters(call)] + [len(self.calls)]

    def end(self, number: int, ending: Ending, muted: Collection[str] = ()) -> Job:
        """Return a new job whose folder is as a crash before that call leaves it.

        Args:
            number: of the call.
            ending: the kind of crash.
            muted: places whose syncs do nothing.
        """
        job = self.scene.new_job()
        shutil.rmtree(job.data_dir, ignore_errors=True)  # what the scene has prepared is part of the film
        place = Path(job.output).parent
        disk = self._first.copy()
        disk.take(call for call in self.calls[:number] if not (call.is_sync and place_of(call) in muted))
        ending(disk, place)
        spoken = [self.calls[said - 1].data for said in self.acknowledgements if said <= number]
        Path(job.acknowledgements).write_bytes(b"".join(spoken))
        Path(job.output).write_bytes(b"")
        return job


Judge = Callable[[Film, int, Collection[str]], list[str]]
"""Returns what is broken after a power cut before a call, while the syncs of some places do nothing."""


@dataclass(frozen=True)
class Programme:
    """How a film is made, and who judges its cuts."""

    make: Callable[[Scene], Film]
    judge: Judge


def place_of(call: Call) -> str:
    """Return which place of the program asked for a sync: what called fsync, and for whom; empty for SQLite's own."""
    if not call.callers:
        return ""
    frames = call.callers.split(" < ")
    asking = next((frame for frame in frames if frame.rpartition(":")[2] not in PASSING), frames[-1])
    return " < ".join(dict.fromkeys((frames[0], asking)))


def _matters(call: Call) -> bool:
    return not call.path.endswith("-shm") and not call.failed
