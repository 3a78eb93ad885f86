"""The hashing processes: digests, what is being hashed at this moment and how fast, and calling it off."""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import RawArray
from typing import Any

from modelkeep.base.workers import WorkerPool
from modelkeep.disk.looks import SILENCE_SECONDS, STOP_SILENCE_SECONDS
from modelkeep.disk.reach import reading_error
from modelkeep.domain.hashing import ActiveHash, Digest, FileInRoot
from modelkeep.errors import HashCancelled, HashError, RootSilent
from modelkeep.pipeline import hash_worker
from modelkeep.pipeline.hash_worker import BYTES_DONE, CALLED_OFF, TAKEN_UP

MOST_WORKERS = 8
"""By default no more than this: beyond it disks are the bound, not processors."""

HANGING_MAX = 16
"""With so many processes left behind that hang in a read, no more are."""

_LOOK_SECONDS = 0.5
"""How often it is looked how far a worker has come."""


def default_workers() -> int:
    """Return how many workers suit this machine's processors."""
    return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS))


class _Slot:
    """One worker process, and the numbers that it shares with the daemon.

    Each has a pool of its own: what hangs or dies in one disturbs no other.
    """

    def __init__(self, step_back: bool) -> None:
        # Its memory is a file that the child maps; spawn hands its descriptor over while the child is made.
        self.shared: Any = RawArray(ctypes.c_uint64, 3)
        self.pool = WorkerPool(1, hash_worker.begin, (self.shared, step_back))


class HashPool:
    """Hashes files in worker processes.

    A worker that comes no further is left behind, killed if the kernel lets it, and another takes its place: it hangs
    in a read of a disk or server that does not answer.

    Args:
        workers: number of processes; 0 = by processors.
        step_back: leave processor and disk to other programs whenever they want them.
        silence_seconds: how long a worker may come no further.
        on_silent: is called when a worker was left behind.
    """

    def __init__(
        self,
        workers: int,
        *,
        step_back: bool,
        silence_seconds: float = SILENCE_SECONDS,
        on_silent: Callable[[], object] = lambda: None,
    ) -> None:
        self.workers = workers or default_workers()
        self._step_back = step_back
        self._free = [_Slot(step_back) for _ in range(self.workers)]
        self._active: dict[_Slot, tuple[str, int, float]] = {}
        self._left: list[WorkerPool] = []
        self._silence_seconds = silence_seconds
        self._is_called_off = False
        self._on_silent = on_silent

    async def digest(self, file: FileInRoot, size_bytes: int) -> Digest:
        """Hash a file, see `Hashing.digest`."""
        path, slot = file.path, self._free.pop()
        slot.shared[:] = [0, 0, 0]
        self._active[slot] = (path, size_bytes, time.monotonic())
        try:
            return await self._watched(slot, path)
        except OSError as error:
            raise reading_error(path, error) from error
        finally:
            del self._active[slot]
            self._free.append(slot if slot.pool not in self._left else _Slot(self._step_back))

    async def _watched(self, slot: _Slot, path: str) -> Digest:
        """Hash a file in a worker, as long as that comes further."""
        running = asyncio.ensure_future(slot.pool.run(hash_worker.digest_file, path))
        seen, since = -1, time.monotonic()
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=min(_LOOK_SECONDS, self._silence_seconds / 2))
                done, now = int(slot.shared[BYTES_DONE]), time.monotonic()
                if done != seen or not slot.shared[TAKEN_UP]:
                    seen, since = done, now
                elif now - since >= self._silence_seconds and not running.done() and self._may_leave():
                    raise self._leave(slot, path)
            return running.result()
        finally:
            running.cancel()

    def _may_leave(self) -> bool:
        return self._is_called_off or self.hanging < HANGING_MAX

    def _leave(self, slot: _Slot, path: str) -> HashError:
        """Leave a worker behind; returns what that means."""
        slot.shared[CALLED_OFF] = 1
        slot.pool.abandon()
        self._left.append(slot.pool)
        if self._is_called_off:
            return HashCancelled("hashing was called off")
        self._on_silent()
        return RootSilent(
            f"{os.path.basename(path)} could not be read: nothing has come for {self._silence_seconds:g} s; "
            "is its disk or server alive?"
        )

    @property
    def hanging(self) -> int:
        """How many processes were left behind that have not ended yet."""
        return sum(pool.hanging for pool in self._left)

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed."""
        now = time.monotonic()
        return [
            ActiveHash(path, done, size_bytes, int(done / max(now - began, 1e-3)))
            for slot, (path, size_bytes, began) in self._active.items()
            for done in [int(slot.shared[BYTES_DONE])]
        ]

    def cancel_all(self) -> None:
        """Call off what is being hashed; each call ends with `HashCancelled`."""
        for slot in self._active:
            slot.shared[CALLED_OFF] = 1

    def release(self) -> None:
        """End idle workers to free their memory; the next call starts new ones."""
        if not self._active:
            for slot in self._free:
                slot.pool.release()

    def hasten(self) -> None:
        """Wait no longer for what is called off than a stop may take."""
        self._is_called_off = True
        self._silence_seconds = min(self._silence_seconds, STOP_SILENCE_SECONDS)

    def shutdown(self) -> None:
        """Call off what runs and end the workers."""
        self.cancel_all()
        for slot in [*self._active, *self._free]:
            slot.pool.shutdown()
