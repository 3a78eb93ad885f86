"""Trials in which single system calls of a real process are its last, or fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.film import Film, kill, power_cut
from tests.crash.job import Job
from tests.crash.living import Scene, said
from tests.crash.system_calls import Call, strace
from tests.crash.trials import Trial

ERRORS = ("EIO", "ENOSPC", "EROFS", "EINTR")
NAMES_SEED = 1
"""Ids and names of staged files come out as in the film, so that its calls can be found again."""

TOLD_OR_MASTERED = (0, 1)
"""Exit statuses of a life that said what was wrong, or that came to its end nevertheless."""

_DISTURBED = frozenset(
    {"write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate", "rmdir"}
)


@dataclass
class Census:
    """How many of the processes that were to be killed were killed, and how many calls were to fail and did."""

    disturbed: int = 0
    undisturbed: int = 0
    names: set[str] = field(default_factory=set)


def film_with_fixed_names(scene: Scene) -> Film:
    """Return a film of a life whose calls can be found again in another."""
    return Film(scene, lambda job: job.but(names_seed=NAMES_SEED))


def kill_trials(film: Film, census: Census) -> list[Trial]:
    """Return a trial for each call at which a process can be killed; workers are processes too."""
    return [Trial(f"killed at {_told(film, call)}", _killed(film, call, census)) for call in _targets(film)]


def error_trials(film: Film, error: str, census: Census) -> list[Trial]:
    """Return a trial for each call that can fail."""
    return [Trial(f"{error} of {_told(film, call)}", _failing(film, call, error, census)) for call in _targets(film)]


def _targets(film: Film) -> list[Call]:
    return [call for call in film.calls if call.name in _DISTURBED and call.path.startswith(film.job.data_dir)]


def _killed(film: Film, call: Call, census: Census) -> Callable[[], list[str]]:
    return lambda: _disturbed(film, call, "signal=KILL", census, (0, 137, -9))


def _failing(film: Film, call: Call, error: str, census: Census) -> Callable[[], list[str]]:
    return lambda: _disturbed(film, call, f"error={error}", census, TOLD_OR_MASTERED)


def _disturbed(film: Film, call: Call, what: str, census: Census, statuses: tuple[int, ...]) -> list[str]:
    scene = film.scene
    job = scene.new_job().but(inline=False, names_seed=NAMES_SEED)
    folder = Path(job.output).parent
    path = folder / Path(call.target or call.path).relative_to(film.home)
    log = folder / "injected"
    options = ["-P", str(path), "-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={call.nth}"]
    status = strace(options, job, log)
    took_place = "INJECTED" in log.read_text() or status in (137, -9)
    census.disturbed += took_place
    census.undisturbed += not took_place
    if status not in statuses:
        return [f"it ended with {status}; it said:\n{said(job)}"]
    faults = scene.faults_after(job)
    if not faults:
        scene.remove(job)
    return faults


def _told(film: Film, call: Call) -> str:
    return f"{call.name} number {call.nth} on {Path(call.target or call.path).relative_to(film.home)}"
