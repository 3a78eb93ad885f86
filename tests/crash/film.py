"""A film of lives, call by call, that can be stopped anywhere: what would a kill or a power cut leave there?"""

import random
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path

from tests.crash.disk import Disk
from tests.crash.job import Job
from tests.crash.journal_story import read_story
from tests.crash.living import KILLED, Scene, said
from tests.crash.system_calls import Call, trace

Ending = Callable[[Disk, Path], None]
"""Puts what a crash leaves into a folder."""

_PASSING = frozenset(
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
    """

    def __init__(self, scene: Scene, *lives: Callable[[Job], Job], prepare: Callable[[Job], None] | None = None) -> None:
        self._scene = scene
        self.job = scene.new_job().but(inline=False)
        if prepare is not None:
            prepare(self.job)
        self.home = Path(self.job.output).parent
        self._first = Disk(self.home)
        self.calls: list[Call] = []
        for live in lives:
            job = live(self.job)
            self.calls += trace(job, expect=KILLED if job.fail_point else 0)

    @property
    def places(self) -> set[str]:
        """Every place of the program that has asked for a sync."""
        return {place_of(call) for call in self.calls if call.is_sync and call.callers}

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
        job = self._scene.new_job()
        place = Path(job.output).parent
        disk = self._first.copy()
        disk.take(call for call in self.calls[:number] if not (call.is_sync and place_of(call) in muted))
        ending(disk, place)
        spoken = [call for call in self.calls[:number] if call.path == self.job.acknowledgements and call.data]
        Path(job.acknowledgements).write_bytes(b"".join(call.data for call in spoken if call.name == "write"))
        Path(job.output).write_bytes(b"")
        return job


def place_of(call: Call) -> str:
    """Return which place of the program asked for a sync: its callers up to the first that does not only pass on."""
    frames = call.callers.split(" < ")
    for number, frame in enumerate(frames, start=1):
        if frame.rpartition(":")[2] not in _PASSING:
            return " < ".join([frames[0], *(frames[number - 1 : number] if number > 1 else [])])
    return " < ".join(dict.fromkeys((frames[0], frames[-1])))


def unplanned(data_dir: Path) -> list[str]:
    """Return what the catalogue has committed though the journal does not have its plan; changes the folder."""
    database = data_dir / "modelkeep.db"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        known = connection.execute("SELECT name FROM sqlite_master WHERE name = 'migrations'").fetchone()
        committed = {row[0] for row in connection.execute("SELECT id FROM migrations")} if known else set()
    lacking = committed - read_story(data_dir / "journal").planned
    return [f"migrations are committed whose plans are gone: {sorted(lacking)}"] if lacking else []


def _matters(call: Call) -> bool:
    return not call.path.endswith("-shm") and call.name != "sendfile"
