"""Start lives and come to know how they ended."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.crash.end_state import Reference, faults_of, normalised, reference_of
from tests.crash.job import Job
from tests.crash.tiny_library import TinyLibrary
from tests.integration.kept import read_kept

BATCH = Path(__file__).with_name("batch.py")
KILLED = 137
"""Exit status at a fail point."""


class Nursery:
    """A process that lives jobs in forks of itself.

    Args:
        batch: the program that does.
    """

    def __init__(self, batch: Path = BATCH) -> None:
        self._batch = batch
        self._process = self._begin()

    def _begin(self) -> "subprocess.Popen[str]":
        command = [sys.executable, str(self._batch), "--serve"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def live(self, job: Job, meanwhile: Callable[[int], None] = lambda _: None) -> int:
        """Live a job; returns its exit status, negative for a signal.

        Args:
            job: the life.
            meanwhile: called with the id of its process while it lives.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(job.to_json() + "\n")
        self._process.stdin.flush()
        try:
            meanwhile(self._answer())
            return self._answer()
        except BaseException:  # a test that runs out of time: what is answered after it belongs to no other life
            self._process.kill()
            self._process.communicate()
            self._process = self._begin()
            raise

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery has ended; see what it wrote on standard error"
        return int(json.loads(line))

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Run a nursery."""
    opened = Nursery()
    try:
        yield opened
    finally:
        opened.close()


class Scene:
    """A library, what an undisturbed life makes of it, and room for disturbed ones.

    Args:
        folder: where the data folders are put.
        library: what is imported.
        nursery: lives the jobs.
        prepared: a data folder from which each life starts; None: from nothing.
        journal: options of the journal, as in a job.
        data_in: where the data folders are put, when that is elsewhere: on a disk that loses its power.
    """

    def __init__(
        self,
        folder: Path,
        library: TinyLibrary,
        nursery: Nursery,
        prepared: Path | None = None,
        journal: Mapping[str, int] | None = None,
        data_in: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._data_in = data_in or folder
        self.folder = folder
        self.library = library
        self.nursery = nursery
        self._journal = dict(journal or {})
        self._prepared = prepared
        self._numbers = itertools.count(1)
        undisturbed = self.new_job()
        self.live_well(undisturbed)
        self.reference: Reference = reference_of(Path(undisturbed.data_dir), library)

    def new_job(self) -> Job:
        """Return a life that nobody has lived yet."""
        number = str(next(self._numbers))
        place, data_dir = self.folder / number, self._data_in / number / "state"
        place.mkdir()
        if self._prepared is not None:
            shutil.copytree(self._prepared, data_dir)
        return Job(
            data_dir=str(data_dir),
            source=str(self.library.source),
            root=str(self.library.root),
            acknowledgements=str(place / "acknowledged"),
            output=str(place / "output"),
        ).but(**self._journal)

    def live_well(self, job: Job) -> None:
        """Live a job that has to come to its end."""
        status = self.nursery.live(job)
        assert status == 0, f"it ended with {status}; it said:\n{said(job)}"

    def points(self, job: Job) -> list[str]:
        """Live a job to its end; returns the fail points that it reached, as `name@n`, in their order."""
        log = Path(job.output).with_name("points")
        self.live_well(job.but(fail_point_log=str(log)))
        reached = log.read_text().splitlines()
        log.unlink()
        return reached

    def faults_after(self, job: Job, *, damage_is_fine: bool = False) -> list[str]:
        """Recover, judge, go on to the end, and compare with an undisturbed life.

        What a crash at any instant leaves has to be in order after a recovery, and to come to the same end.

        Args:
            job: the life that was ended.
            damage_is_fine: what the journal had not brought to the disk may be there in part.
        """
        faults = self.faults_of_recovery(job)
        self.live_well(_undisturbed(job))
        data_dir = Path(job.data_dir)
        faults += faults_of(data_dir, self.library, self.reference, imported=True) + self.differences(data_dir)
        return [fault for fault in faults if not (damage_is_fine and fault.startswith("the journal is damaged"))]

    def faults_of_recovery(self, job: Job) -> list[str]:
        """Recover, and judge."""
        phases, data_dir = acknowledged(job), Path(job.data_dir)
        self.live_well(_undisturbed(job).but(until="recovered"))
        faults = faults_of(data_dir, self.library, self.reference, imported="imported" in phases)
        return faults + self._broken_promises(data_dir, phases)

    def differences(self, data_dir: Path) -> list[str]:
        """Return in what a data folder differs from the end of an undisturbed life."""
        end = normalised(data_dir, self.library)
        return [
            f"{part} came to another end: {_difference(self.reference.end[part], end[part])}"
            for part in end
            if end[part] != self.reference.end[part]
        ]

    def _broken_promises(self, data_dir: Path, phases: list[str]) -> list[str]:
        """Return what was acknowledged and is not so any more."""
        if "resolved" in phases:
            return self.differences(data_dir)
        if "idle" in phases:
            waiting = [path for path, row in read_kept(data_dir).pending.items() if row["state"] == "waiting"]
            return [f"rows wait again: {waiting}"] if waiting else []
        return []

    def remove(self, job: Job) -> None:
        """Make room."""
        for folder in {Path(job.output).parent, Path(job.data_dir).parent}:
            shutil.rmtree(folder)


def _undisturbed(job: Job) -> Job:
    return job.but(fail_point="", cut="", careless=False, until="closed", inline=True, names_seed=0, program="life")


def acknowledged(job: Job) -> list[str]:
    """Return the phases that a life has acknowledged so far."""
    path = Path(job.acknowledgements)
    return path.read_text().split() if path.exists() else []


def said(job: Job) -> str:
    """Return what a life wrote on standard output and standard error."""
    path = Path(job.output)
    return path.read_text(errors="replace") if path.exists() else ""


def _difference(expected: object, found: object) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return "; ".join(f"{key}: {found.get(key)} for {expected.get(key)}" for key in keys)
    return f"{found} for {expected}"
