"""Decide which file is hashed next, and keep the pool busy."""

import asyncio
import heapq
import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from modelkeep.domain.values import Fingerprint, Priority
from modelkeep.errors import HashError, WorkerDied
from modelkeep.pipeline.hash_pool import HashPool
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.work import Work

DEATHS_MAX = 3
"""A file under which so many workers died is not tried again by itself."""


_VIRTUAL_DISKS = ("vd", "xvd", "nbd", "loop", "zram")
"""Disks of a hypervisor or of nothing that turns: they say that they rotate because nobody told them otherwise."""


@lru_cache(maxsize=64)
def is_rotating(device: int) -> bool:
    """Tell whether a device number is that of a rotating disk (Documentation/ABI/stable/sysfs-block)."""
    folder = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    for disk in (folder, folder.parent):  # a partition's queue is its disk's
        try:
            flag = (disk / "queue" / "rotational").read_text().strip()
        except OSError:
            continue
        return flag == "1" and not disk.name.startswith(_VIRTUAL_DISKS)
    return False


@dataclass(order=True, slots=True)
class _Queued:
    priority: Priority
    order: int
    work: Work = field(compare=False)
    fingerprint: Fingerprint = field(compare=False)


class HashStage:
    """Hashes in order of priority; a rotating disk is read by one worker at a time.

    Args:
        pool: the worker processes.
        on_hashed: gets each digest, and the seconds that it took.
        on_failed: gets each failure.
        on_drained: called when little is left to do.
    """

    def __init__(
        self,
        pool: HashPool,
        on_hashed: Callable[[Work, Digest, float], Awaitable[None]],
        on_failed: Callable[[Work, HashError], Awaitable[None]],
        on_drained: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._on_hashed = on_hashed
        self._on_failed = on_failed
        self._on_drained = on_drained
        self._lanes: dict[int, list[_Queued]] = {}
        self._queued: dict[str, _Queued] = {}
        self._asked: dict[str, _Queued] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()
        self._deaths: Counter[str] = Counter()
        self._suspects: deque[_Queued] = deque()
        self._order = itertools.count()
        self.hashing: dict[str, Work] = {}
        self.paused = False
        self.stopping = False

    @property
    def queued(self) -> int:
        """Number of files that wait for a worker."""
        return len(self._queued) + len(self._asked) + len(self._suspects)

    @property
    def queued_bytes(self) -> int:
        """Sum of the sizes of the files that wait for a worker."""
        waiting = itertools.chain(self._queued.values(), self._asked.values())
        return sum(item.fingerprint.size_bytes for item in waiting)

    def put(self, work: Work, fingerprint: Fingerprint) -> None:
        """Queue a file."""
        item = _Queued(work.priority, next(self._order), work, fingerprint)
        self._waiting(work)[work.path] = item
        lane = fingerprint.device if is_rotating(fingerprint.device) else 0
        heapq.heappush(self._lanes.setdefault(lane, []), item)
        self.dispatch()

    def take_back(self, path: str) -> tuple[Work, Fingerprint] | None:
        """Take a row's file, or a claim's, out of the queue; None when it does not wait there."""
        item = self._queued.pop(path, None)
        return (item.work, item.fingerprint) if item else None

    def waits(self, path: str) -> bool:
        """Tell whether a file waits for a worker and will be given one."""
        return path in self._asked or (path in self._queued and not self.paused)

    def hurry(self, path: str) -> None:
        """Put a file that waits before all else; a question is there already."""
        item = self.take_back(path)
        if item is not None:
            self.put(replace(item[0], priority=Priority.INTERACTIVE), item[1])

    def rename(self, old: str, new: str) -> None:
        """Follow the rename of a file that waits."""
        for waiting in (self._queued, self._asked):
            item = waiting.pop(old, None)
            if item is not None:
                self.put(item.work.at(new), item.fingerprint)

    def dispatch(self) -> None:
        """Give work to every free worker."""
        if self._suspects:
            # A killed worker takes all that is being hashed along. Each of those is hashed alone now: only the file
            # that is to blame kills again.
            if not self._running and not self.stopping:
                self._begin(0, self._suspects.popleft())
            return
        while len(self._running) < self._pool.workers and not self._is_alone and not self.stopping:
            chosen = self._choose()
            if chosen is None:
                break
            self._begin(*chosen)
        if self.queued < self._pool.workers:
            self._on_drained()

    def _begin(self, lane: int, item: _Queued) -> None:
        self._busy[lane] += 1
        self.hashing[item.work.path] = item.work
        task = asyncio.create_task(self._hash(lane, item))
        self._running.add(task)
        task.add_done_callback(self._ended)

    @property
    def _is_alone(self) -> bool:
        """Whether a file is being hashed under which a worker may have been killed."""
        return any(self._deaths[path] for path in self.hashing)

    async def stop(self) -> None:
        """Call off what runs and wait for its end; what is queued stays in the catalogue's queue."""
        self.stopping = True
        self._pool.cancel_all()
        if self._running:
            await asyncio.wait(self._running)

    def _choose(self) -> tuple[int, _Queued] | None:
        best: tuple[int, _Queued] | None = None
        for lane, heap in self._lanes.items():
            while heap and self._waiting(heap[0].work).get(heap[0].work.path) is not heap[0]:
                heapq.heappop(heap)  # taken back meanwhile
            if heap and not (lane and self._busy[lane]) and (best is None or heap[0] < best[1]):
                best = (lane, heap[0])
        if best is None or (self.paused and best[1].priority is not Priority.INTERACTIVE):
            return None
        heapq.heappop(self._lanes[best[0]])
        del self._waiting(best[1].work)[best[1].work.path]
        return best

    def _waiting(self, work: Work) -> dict[str, _Queued]:
        """Return where a work waits: questions apart, for a row of the same file may wait as well."""
        return self._queued if work.pending_id or work.claim else self._asked

    async def _hash(self, lane: int, item: _Queued) -> None:
        work = item.work
        began = time.monotonic()
        try:
            digest = await self._pool.digest(work.path, item.fingerprint.size_bytes)
        except HashError as error:
            self._end(lane, work)
            await self._retry_or_fail(item, error)
        else:
            self._end(lane, work)
            self._deaths.pop(work.path, None)
            await self._on_hashed(work, digest, time.monotonic() - began)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.dispatch()

    def _end(self, lane: int, work: Work) -> None:
        self._busy[lane] -= 1
        self.hashing.pop(work.path, None)

    async def _retry_or_fail(self, item: _Queued, error: HashError) -> None:
        path = item.work.path
        if isinstance(error, WorkerDied) and not self.stopping:
            self._deaths[path] += 1
            if self._deaths[path] < DEATHS_MAX:
                self._suspects.append(item)
                return
            del self._deaths[path]
            error = WorkerDied(f"{DEATHS_MAX} hashing processes were killed under this file; is there enough memory?")
        await self._on_failed(item.work, error)
