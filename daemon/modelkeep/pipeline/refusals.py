"""Why files are not taken: what the owner reads of it, and what it means for what was known of their paths."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.files import fingerprints_of, look_at_all
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import why_all_unseen
from modelkeep.domain.reconcile import missing_records
from modelkeep.domain.settling import Verdict
from modelkeep.domain.values import Record
from modelkeep.errors import FileChanged, HashCancelled, HashError
from modelkeep.pipeline.jobs import Job

REFUSALS = {
    Verdict.NO_MODEL: "it is empty or a Git LFS pointer, not a model: download it again",
    Verdict.CUT_OFF: "it is cut off: its header promises more than the file holds; waiting for the rest of it",
    Verdict.WAIT: "somebody is still writing it: waiting until it is complete",
}
"""What the owner reads of a file that is not taken."""

OUTSIDE = (
    "it lies in none of the configured roots: add its folder as a root, or import again with --map OLD=NEW "
    "if the folder has another name on this machine"
)
FORBIDDEN = "it may not be read by the daemon's user: check its rights"
STOPPING = "the daemon is stopping"
DIFFERS = "the same content is in the catalogue and the two differ: choose a strategy"


def stopping() -> HashCancelled:
    """Return the error of what is called off because the daemon stops."""
    return HashCancelled(STOPPING)


def touched(path: str) -> FileChanged:
    """Return the error of a file that was touched while it was read."""
    return FileChanged(f"{os.path.basename(path)} was touched while it was read")


class Untaken:
    """Looks again at files that could not be taken.

    Args:
        catalogue: what was known of their paths.
        looks: looks at paths of the roots.
        record: appends records to the journal.
    """

    def __init__(self, catalogue: Catalogue, looks: DiskLooks, record: Callable[[Sequence[Record]], object]) -> None:
        self._catalogue = catalogue
        self._looks = looks
        self._record = record

    async def why_unseen(self, jobs: Sequence[Job]) -> dict[Job, HashError | None]:
        """Return why the files of jobs are not seen, None for one that is; they may be renamed while one looks."""
        reasons: dict[Job, HashError | None] = {}
        look = partial(why_all_unseen, roots=self._looks.roots)
        while left := [job for job in jobs if job not in reasons]:
            paths = {job: job.path for job in left}
            seen: Mapping[str, HashError | None] = await self._looks.told(look, paths.values())
            reasons |= {job: seen[path] for job, path in paths.items() if job.path == path}
        return reasons

    async def readable(self, paths: Iterable[str]) -> set[str]:
        """Return those of these paths at which lies a file that may be read."""
        return {path for path, look in (await self._looks.found(look_at_all, paths)).items() if look is not None}

    async def record_replaced(self, paths: Sequence[str]) -> None:
        """Record of files that are no whole models, or cannot be read, that they are not those of before either.

        What is gone its own event tells, and what is as it was is no news.
        """
        known = await self._catalogue.locations_at(paths)
        present = await self._looks.found(fingerprints_of, known)
        replaced = [
            known[path] for path in present if not present[path].same_file_at_same_path(known[path].fingerprint)
        ]
        lost = await self._catalogue.lose_content(replaced) if replaced else []
        cause = "it was replaced by a file that cannot be taken yet"
        self._record(missing_records(lost, cause))
