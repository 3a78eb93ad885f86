"""Trials in which single system calls of a real process are its last, or fail."""

import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.crash.film import Film, kill, power_cut
from tests.crash.living import Scene, said
from tests.crash.system_calls import Call, strace
from tests.crash.trials import Trial, judged, some

ERRORS = ("EIO", "ENOSPC", "EROFS", "EINTR")
NAMES_SEED = 1
"""Ids and names of staged files come out as in the film, so that its calls can be found again."""

TOLD_OR_MASTERED = (0, 1)
"""Exit statuses of a life that said what was wrong, or that came to its end nevertheless."""

KILLED_STATUSES = (-signal.SIGKILL,)

_SOON_AFTER = (1, 3, 6, 12, 25)
_CUTS = 6
"""So many moments after a failed sync are tried of one life; often it has failed in some threads."""

_TIER = re.compile(r"\.staging/.*_(high|medium|low)\.webp$")
_DISTURBED = frozenset({"write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate", "rmdir"})


def film_with_fixed_names(scene: Scene) -> Film:
    """Return a film of a life whose calls can be found again in another."""
    return Film(scene, lambda job: job.but(names_seed=NAMES_SEED))


def kill_trials(film: Film) -> list[Trial]:
    """Return a trial for each call at which the process can be killed.

    Not for those of the workers that draw images: strace would kill the second worker there too, after which a
    image counts as one that kills.
    """
    targets = [call for call in _targets(film) if not _is_of_worker(call)]
    return [Trial(f"killed at {_told(film, call)}", _killed(film, call)) for call in targets]


def error_trials(film: Film, error: str) -> list[Trial]:
    """Return a trial for each call that can fail."""
    return [Trial(f"{error} of {_told(film, call)}", _failing(film, call, error)) for call in _targets(film)]


def _targets(film: Film) -> list[Call]:
    return [call for call in film.calls if call.name in _DISTURBED and call.path.startswith(film.job.data_dir)]


def sync_error_trials(film: Film, error: str, cuts: int = _CUTS) -> list[Trial]:
    """Return trials in which each thread's n-th sync fails, and a kill or a power cut comes soon after.

    Args:
        film: shows how often each thread syncs.
        error: with which they fail.
        cuts: at most so many moments after it are tried of one life.
    """
    most = {name: max(_times(film, name)) for name in ("fsync", "fdatasync")}
    return [
        Trial(
            f"{error} of each thread's {name} number {number}", _failing_sync(film.scene, name, number, error, cuts)
        )
        for name, highest in most.items()
        for number in range(1, highest + 1)
    ]


def _times(film: Film, name: str) -> Counter[int]:
    return Counter(Counter(call.thread for call in film.calls if call.name == name).values())


def _failing_sync(scene: Scene, name: str, number: int, error: str, most: int) -> Callable[[], list[str]]:
    def run() -> list[str]:
        film = Film(scene, lambda job: job, disturbance=["-e", f"inject={name}:error={error}:when={number}"])
        if film.statuses[0] not in TOLD_OR_MASTERED:
            return [f"it ended with {film.statuses[0]}; it said:\n{said(film.job)}"]
        failed = [index for index, call in enumerate(film.calls) if call.failed and call.name == name]
        cuts = {min(index + after, len(film.calls)) for index in failed for after in _SOON_AFTER} | {len(film.calls)}
        return [
            f"{ending.__name__} before call {cut}: {fault}"
            for cut in some(sorted(cuts), most, seed=number)
            for ending in (kill, power_cut)
            for fault in scene.faults_after(film.end(cut, ending), damage_is_fine=ending is power_cut)
        ]

    return run


def _is_of_worker(call: Call) -> bool:
    is_tier = _TIER.search(call.path) is not None or call.path.endswith(".staging")
    return is_tier and not call.target


def _killed(film: Film, call: Call) -> Callable[[], list[str] | None]:
    return lambda: _disturbed(film, call, "signal=KILL", KILLED_STATUSES)


def _failing(film: Film, call: Call, error: str) -> Callable[[], list[str] | None]:
    return lambda: _disturbed(film, call, f"error={error}", TOLD_OR_MASTERED)


def _disturbed(film: Film, call: Call, what: str, statuses: tuple[int, ...]) -> list[str] | None:
    job = film.scene.new_job().but(inline=False, names_seed=NAMES_SEED)
    folder = Path(job.output).parent
    path = folder / Path(call.target or call.path).relative_to(film.home)
    log = folder / "injected"
    options = ["-P", str(path), "-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={call.nth}"]
    status = strace(options, film.scene.nursery, job, log)
    if status == 0 and "INJECTED" not in log.read_text():
        return None
    if status not in statuses:
        return [f"it ended with {status}; it said:\n{said(job)}"]
    return judged(film.scene, job)


def _told(film: Film, call: Call) -> str:
    return f"{call.name} number {call.nth} on {Path(call.target or call.path).relative_to(film.home)}"
