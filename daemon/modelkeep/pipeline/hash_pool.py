"""The hashing process pool: digests, what is being hashed at this moment and how fast, and calling it off."""

import ctypes
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from typing import Any

from modelkeep.domain.values import Fingerprint
from modelkeep.errors import FileVanished, HashError
from modelkeep.pipeline import hash_worker
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.workers import WorkerPool

MOST_WORKERS = 8
"""By default no more than this: beyond it disks are the bound, not processors."""


def default_workers() -> int:
    """Return how many workers suit this machine's processors."""
    return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS))


@dataclass(frozen=True, slots=True)
class ActiveHash:
    """A file that is being hashed; the speed is its mean since it began."""

    path: str
    bytes_done: int
    bytes_total: int
    bytes_per_s: int


class HashPool:
    """Hashes files in worker processes.

    Args:
        workers: number of processes; 0 = by processors.
        step_back: leave processor and disk to other programs whenever they want them.
        known_digest: for stand-in files: returns a digest that needs no reading, or None.
    """

    def __init__(
        self, workers: int, *, step_back: bool, known_digest: Callable[[str], str | None] | None = None
    ) -> None:
        self.workers = workers or default_workers()
        # Its memory is a file that the children map; spawn hands its descriptor over while a child is made.
        self._shared: Any = RawArray(ctypes.c_uint64, 2 * self.workers)
        self._free = list(range(self.workers))
        self._active: dict[int, tuple[str, int, float]] = {}
        self._known_digest = known_digest
        self._pool = WorkerPool(self.workers, hash_worker.begin, (self._shared, step_back))

    async def digest(self, path: str, size_bytes: int) -> Digest:
        """Hash a file; no more than `workers` calls may run at once.

        Raises:
            FileVanished: nothing is there.
            FileChanged: it changed while it was read.
            HashCancelled: the daemon stops.
            WorkerDied: the worker process was killed.
            NoWorkers: no worker process can be started.
            HashError: it cannot be read, with the reason.
        """
        known = self._known(path)
        if known is not None:
            return known
        slot = self._free.pop()
        self._shared[2 * slot] = self._shared[2 * slot + 1] = 0
        self._active[slot] = (path, size_bytes, time.monotonic())
        try:
            return await self._pool.run(hash_worker.digest_file, path, slot)
        except OSError as error:
            raise reading_error(path, error) from error
        finally:
            del self._active[slot]
            self._free.append(slot)

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed."""
        now = time.monotonic()
        return [
            ActiveHash(path, done, size_bytes, int(done / max(now - began, 1e-3)))
            for slot, (path, size_bytes, began) in self._active.items()
            for done in [int(self._shared[2 * slot])]
        ]

    def cancel_all(self) -> None:
        """Call off what is being hashed; each call ends with `HashCancelled`."""
        for slot in range(self.workers):
            self._shared[2 * slot + 1] = 1

    def release(self) -> None:
        """End idle workers to free their memory; the next call starts new ones."""
        if not self._active:
            self._pool.release()

    def shutdown(self) -> None:
        """Call off what runs and end the workers."""
        self.cancel_all()
        self._pool.shutdown()

    def _known(self, path: str) -> Digest | None:
        sha256 = self._known_digest(path) if self._known_digest else None
        if sha256 is None:
            return None
        try:
            return Digest(sha256, Fingerprint.from_stat(os.stat(path)))
        except OSError as error:
            raise reading_error(path, error) from error


def reading_error(path: str, error: OSError) -> HashError:
    """Return what a failure to read a file means, as a sentence."""
    name = os.path.basename(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileVanished(f"there is no file at {path}")
    if error.errno == errno.EINVAL:
        return HashError(f"{name} is not a regular file")
    if error.errno in (errno.EACCES, errno.EPERM):
        return HashError(f"{name} may not be read by the daemon's user: check its rights and those of its folders")
    return HashError(f"{name} could not be read: {error.strerror or error}")
