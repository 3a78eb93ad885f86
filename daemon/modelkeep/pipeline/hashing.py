"""Decide which file is hashed next, and keep the pool busy."""

import asyncio
import heapq
import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from modelkeep.base.log import get_logger
from modelkeep.base.persistence import unforeseen
from modelkeep.disk.roots import Roots
from modelkeep.domain.hashing import Digest, Hashing
from modelkeep.domain.values import Fingerprint, Priority
from modelkeep.errors import FileVanished, HashCancelled, HashError, NoWorkers, WorkerDied
from modelkeep.pipeline.jobs import Job, Stage

_log = get_logger("hashing")

DEATHS_MAX = 3
"""A file under which so many workers died is not tried again by itself."""

FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 0.5, 10.0
"""How long nothing is begun when no worker can be started; doubles each time."""


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
    job: Job = field(compare=False)
    fingerprint: Fingerprint = field(compare=False)
    deaths: int = field(default=0, compare=False)
    """Workers that were killed while they read it."""


class HashStage:
    """Hashes in order of priority; a rotating disk is read by one worker at a time.

    Args:
        hasher: reads the files.
        roots: the files are named below them.
        on_hashed: gets each digest, and the seconds that it took.
        on_failed: gets each failure.
        on_no_workers: gets a file that waits on because no worker can be started.
        on_drained: called when little is left to do.
    """

    def __init__(
        self,
        hasher: Hashing,
        roots: Roots,
        on_hashed: Callable[[Job, Digest, float], Awaitable[None]],
        on_failed: Callable[[Job, HashError], Awaitable[None]],
        on_no_workers: Callable[[Job, NoWorkers], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._hasher = hasher
        self._roots = roots
        self._on_hashed = on_hashed
        self._on_failed = on_failed
        self._on_no_workers = on_no_workers
        self._on_drained = on_drained
        self._lanes: dict[int, list[_Queued]] = {}
        self._queued: dict[Job, _Queued] = {}
        self._hashing: dict[Job, _Queued] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[int] = Counter()
        self._suspects: deque[_Queued] = deque()
        self._order = itertools.count()
        self._resting = False
        self._rest_seconds = FIRST_REST_SECONDS
        self.paused = False
        self.stopping = False

    @property
    def queued(self) -> int:
        """Number of files that wait for a worker."""
        return len(self._queued) + len(self._suspects)

    @property
    def queued_bytes(self) -> int:
        """Sum of the sizes of the files that wait for a worker."""
        return sum(item.fingerprint.size_bytes for item in self._queued.values())

    @property
    def hashing(self) -> Collection[Job]:
        """The files that are being hashed."""
        return self._hashing.keys()

    def put(self, job: Job, fingerprint: Fingerprint) -> None:
        """Queue a file; one that is queued already gets its new priority."""
        self._put(_Queued(job.priority, next(self._order), job, fingerprint))

    def withdraw(self, job: Job) -> bool:
        """Take a file out of the queue; tells whether it waited there."""
        return self._queued.pop(job, None) is not None

    def dispatch(self) -> None:
        """Give work to every free worker."""
        if self._resting:
            return
        if self._suspects:
            # A killed worker takes all that is being hashed along. Each of those is hashed alone now: only the file
            # that is to blame kills again.
            if not self._running and not self.stopping:
                self._begin(0, self._suspects.popleft())
            return
        while len(self._running) < self._hasher.workers and not self._is_alone and not self.stopping:
            chosen = self._choose()
            if chosen is None:
                break
            self._begin(*chosen)
        if self.queued < self._hasher.workers:
            self._on_drained()

    async def stop(self) -> None:
        """Call off what runs and wait for its end; what is queued stays in the catalogue's queue."""
        self.stopping = True
        self._hasher.cancel_all()
        if self._running:
            await asyncio.wait(self._running)

    def _put(self, item: _Queued) -> None:
        item.job.stage, item.job.fingerprint = Stage.QUEUED, item.fingerprint
        self._queued[item.job] = item
        lane = item.fingerprint.device if is_rotating(item.fingerprint.device) else 0
        heapq.heappush(self._lanes.setdefault(lane, []), item)
        self.dispatch()

    def _begin(self, lane: int, item: _Queued) -> None:
        self._busy[lane] += 1
        item.job.stage = Stage.HASHING
        self._hashing[item.job] = item
        task = asyncio.create_task(self._hash(lane, item))
        self._running.add(task)
        task.add_done_callback(self._ended)

    @property
    def _is_alone(self) -> bool:
        """Whether a file is being hashed under which a worker may have been killed."""
        return any(item.deaths for item in self._hashing.values())

    def _choose(self) -> tuple[int, _Queued] | None:
        best: tuple[int, _Queued] | None = None
        for lane, heap in self._lanes.items():
            while heap and self._queued.get(heap[0].job) is not heap[0]:
                heapq.heappop(heap)  # taken back meanwhile
            if heap and not (lane and self._busy[lane]) and (best is None or heap[0] < best[1]):
                best = (lane, heap[0])
        if best is None or (self.paused and best[1].priority is not Priority.INTERACTIVE):
            return None
        heapq.heappop(self._lanes[best[0]])
        del self._queued[best[1].job]
        return best

    async def _hash(self, lane: int, item: _Queued) -> None:
        item.job.read_at = path = item.job.path
        began = time.monotonic()
        try:
            self._require_going_on()
            digest = await self._hasher.digest(self._roots.name(path), item.fingerprint.size_bytes)
        except NoWorkers as error:
            self._end(lane, item)
            self._rest(item, error)
        except HashError as error:
            self._end(lane, item)
            await self._retry_or_fail(item, path, error)
        except Exception as error:
            self._end(lane, item)
            _log.exception("unforeseen.error", path=path)
            await self._on_failed(item.job, HashError(unforeseen(error)))
        else:
            self._end(lane, item)
            self._rest_seconds = FIRST_REST_SECONDS
            await self._on_hashed(item.job, digest, time.monotonic() - began)

    def _require_going_on(self) -> None:
        """Call off what was begun in the instant in which all else was."""
        if self.stopping:
            raise HashCancelled("hashing was called off")

    def _rest(self, item: _Queued, error: NoWorkers) -> None:
        """Begin nothing for a while: no file is to blame, and none could be hashed."""
        if not (self._resting or self.stopping):
            self._resting = True
            asyncio.get_running_loop().call_later(self._rest_seconds, self._rested)
            self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
        if not item.job.is_question:
            self._put(item)
        self._on_no_workers(item.job, error)

    def _rested(self) -> None:
        self._resting = False
        self.dispatch()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.dispatch()

    def _end(self, lane: int, item: _Queued) -> None:
        self._busy[lane] -= 1
        del self._hashing[item.job]

    async def _retry_or_fail(self, item: _Queued, path: str, error: HashError) -> None:
        """Try again what another try may answer.

        Args:
            item: what was read.
            path: where its file lay when the reading began.
            error: why it could not be read.
        """
        if isinstance(error, FileVanished) and item.job.path != path and not self.stopping:
            self._put(item)  # it was renamed before the worker had opened it
            return
        if isinstance(error, WorkerDied) and not self.stopping:
            item.deaths += 1
            if item.deaths < DEATHS_MAX:
                self._suspects.append(item)
                return
            error = WorkerDied(f"{DEATHS_MAX} hashing processes were killed under this file; is there enough memory?")
        await self._on_failed(item.job, error)
