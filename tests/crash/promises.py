"""What has to be so at a cut of a film, read from the disk as the cut left it."""

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from tests.crash.end_state import QUALITIES
from tests.crash.film import Film, kill, power_cut
from tests.crash.job import PHASES, Job
from tests.crash.journal_story import read_story
from tests.crash.living import Scene, acknowledged
from tests.integration.kept import read_kept

Promise = Callable[[Job], list[str]]
"""Returns what is broken in the folder that a cut left."""


def promises_of_life(scene: Scene, film: Film) -> Callable[[int, Collection[str]], list[str]]:
    """Return what tells what is wrong after a power cut in a life."""

    def broken(number: int, muted: Collection[str]) -> list[str]:
        job = film.end(number, power_cut, muted)
        faults = unplanned(Path(job.data_dir))
        if film.calls[number - 1].path == film.job.acknowledgements:
            faults += _unfulfilled(job, film.end(number, kill))
        return faults + scene.faults_of_recovery(job)

    return broken


def unplanned(data_dir: Path) -> list[str]:
    """Return what the catalogue has committed though the journal does not have its plan."""
    committed = set(_raw(data_dir, "SELECT id FROM migrations"))
    lacking = committed - read_story(data_dir / "journal").planned
    return [f"migrations are committed whose plans are gone: {sorted(lacking)}"] if lacking else []


def _unfulfilled(job: Job, killed: Job) -> list[str]:
    """Return what is not on the disk in the moment in which a phase is acknowledged."""
    data_dir, phase = Path(job.data_dir), acknowledged(job)[-1]
    faults = []
    if phase != PHASES[0]:
        query = "SELECT sha256 || '_' || seq FROM images"
        names = [f"{name}_{quality}.webp" for name in _raw(data_dir, query) for quality in QUALITIES]
        faults += [f"{name} has not its name yet" for name in names if not (data_dir / "images" / name).is_file()]
    if phase == PHASES[-1] and _journal(data_dir) != _journal(Path(killed.data_dir)):
        faults.append("the end of the journal is gone")
    return faults


def broken_journal(job: Job) -> list[str]:
    """Return what is wrong with the journal of the program `journal`, which acknowledges its last durable record."""
    spoken = [int(word) for word in acknowledged(job)]
    folder = Path(job.data_dir) / "deep" / "journal"
    numbers = {record["seq"] for record in _records(folder)}
    lacking = set(range(1, max(spoken, default=0) + 1)) - numbers
    return [f"records are gone: {sorted(lacking)}"] if lacking else []


def broken_pictures(job: Job) -> list[str]:
    """Return which pictures of the program `pictures` are not as it has acknowledged."""
    images, spoken = Path(job.data_dir) / "images", acknowledged(job)
    wanted: list[Path] = []
    if "kept" in spoken:
        wanted.append(images / "pending" / "1.png")
    if spoken[-1:] == ["rendered"]:
        wanted += [images / ".staging" / f"tier_{quality}.webp" for quality in QUALITIES]
    if "published" in spoken:
        wanted += [images / f"{quality}.webp" for quality in QUALITIES]
    return [f"{path.name} is not there, or empty" for path in wanted if not path.is_file() or not path.stat().st_size]
