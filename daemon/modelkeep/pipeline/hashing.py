"""Decide which files are hashed next, and keep the pool busy."""

import asyncio
import heapq
import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from modelkeep.disk.media import Medium, medium_of
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.domain.hashing import Digest, FileToHash, HashBatch, Hashing, HashOutcome
from modelkeep.domain.values import Priority
from modelkeep.errors import FileVanished, HashError, NoWorkers, WorkerDied
from modelkeep.pipeline.jobs import Job, Stage
from modelkeep.pipeline.manners import Manners

BATCH_FILES, BATCH_BYTES = 256, 16 << 20
"""A batch has no more files or bytes, unless it is a single file: whoever asks for a file waits for no more.

What fits into a batch is done so soon that it need not wait for larger files that are being read.
"""

DEATHS_MAX = 3
"""A file under which so many workers died is not tried again by itself."""

_BLAMED = WorkerDied(f"{DEATHS_MAX} hashing processes were killed under this file; is there enough memory?")

FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 0.5, 10.0
"""How long nothing is begun when no worker can be started; doubles each time."""


@frozen
class Read:
    """A file that was read, and how long that took, or why it could not be.

    With `NoWorkers` nothing is known of it: it waits on, unless it was only asked for.
    """

    job: Job
    outcome: Digest | HashError | NoWorkers
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Queued:
    rank: tuple[Priority, int, int]
    """Its priority, the magnitude of its size, for small files go before large ones, and when it came."""
    job: Job
    fingerprint: Fingerprint
    deaths: int = 0
    """Workers that were killed while they had it in hand."""

    @property
    def soon(self) -> bool:
        """Whether it does not wait for large files that are being read."""
        return self.rank[0] is Priority.INTERACTIVE or self.fingerprint.size_bytes <= BATCH_BYTES

    @property
    def device(self) -> int:
        """The number of the device on which it lies."""
        return self.fingerprint.device


class HashStage:
    """Hashes in order of priority, small files first; a rotating disk is read by one worker at a time.

    What is asked for and what is small does not wait for large files that are being read.

    While the machine is wanted for something else, background work is begun only when nothing is in hand.

    Args:
        hasher: reads the files.
        roots: the files are named below them.
        on_read: gets each file that was read or cannot be.
        on_drained: called when little is left to do.
        manners: tells when background work steps back; None: never.
        tensor_digests: whether what is read in idle times gives tensors their digest, whatever it costs.
    """

    def __init__(
        self,
        hasher: Hashing,
        roots: Roots,
        on_read: Callable[[Read], object],
        on_drained: Callable[[], object],
        manners: Manners | None = None,
        *,
        tensor_digests: bool = False,
    ) -> None:
        self._tensor_digests = tensor_digests
        self._manners = manners
        self._hasher = hasher
        self._roots = roots
        self._on_read = on_read
        self._on_drained = on_drained
        self._devices: dict[int, list[tuple[tuple[Priority, int, int], _Queued]]] = {}
        self._queued: dict[Job, _Queued] = {}
        self._hashing: dict[Job, _Queued] = {}
        self._readers: Counter[int] = Counter()
        self._readers_soon: Counter[int] = Counter()
        self._suspects: deque[_Queued] = deque()
        self._order = itertools.count()
        self._will_dispatch = False
        self._resting = False
        self._rest_seconds = FIRST_REST_SECONDS
        self._came_on = asyncio.Event()
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
    def stepped_back(self) -> str:
        """Why background work steps back at this moment; empty when it does not."""
        return self._manners.reason if self._manners is not None else ""

    @property
    def hashing(self) -> Collection[Job]:
        """The files that the hasher has in hand."""
        return self._hashing.keys()

    def expect(self, files: Iterable[tuple[str, Fingerprint]]) -> None:
        """Have processes start for files that will be queued soon, unless their reading has to wait for anything.

        Args:
            files: paths, and what lies there.
        """
        if self._resting or self.stopping or self.paused or self.stepped_back or self._suspects:
            return
        readers: Counter[int] = Counter()
        for path, fingerprint in files:
            if readers[fingerprint.device] < medium_of(fingerprint.device, os.path.dirname(path)).readers:
                readers[fingerprint.device] += 1
        if readers:
            self._hasher.make_ready(readers.total())

    def put(self, job: Job, fingerprint: Fingerprint) -> None:
        """Queue a file; one that is queued already gets its new priority."""
        magnitude = fingerprint.size_bytes.bit_length()
        self._put(_Queued((job.priority, magnitude, next(self._order)), job, fingerprint))

    def withdraw(self, job: Job) -> bool:
        """Take a file out of the queue; returns whether it waited there."""
        return self._queued.pop(job, None) is not None

    def dispatch(self) -> None:
        """Give work to free workers: one batch in a turn of the event loop, so that requests come in between."""
        self._will_dispatch = False
        if self._resting or self.stopping:
            return
        if self._suspects:
            # A killed worker takes all along that it had in hand. Each of those is hashed alone now: only the file
            # that is to blame kills again.
            if not self._hashing:
                item = self._suspects.popleft()
                self._begin([item])
            return
        if self._manners is not None and self._has_work():
            self._manners.watch(self._has_work, self.dispatch)
        if not self._is_alone and (batch := self._choose()):
            self._begin(batch)
            self._dispatch_soon()
        if self.queued < self._hasher.workers:
            self._on_drained()

    async def stop(self) -> None:
        """Call off what runs and wait for its end; what is queued stays in the catalogue's queue."""
        self.stopping = True
        if self._manners is not None:
            self._manners.stop()
        self._hasher.cancel_all()
        while self._hashing:
            self._came_on.clear()
            await self._came_on.wait()

    def _has_work(self) -> bool:
        return bool(self._queued or self._hashing) and not self.paused

    def _put(self, item: _Queued) -> None:
        item.job.stage, item.job.fingerprint = Stage.QUEUED, item.fingerprint
        self._queued[item.job] = item
        heapq.heappush(self._devices.setdefault(item.device, []), (item.rank, item))
        self._dispatch_soon()  # together with what else is put in this turn of the event loop

    def _dispatch_soon(self) -> None:
        if not self._will_dispatch:
            self._will_dispatch = True
            asyncio.get_running_loop().call_soon(self.dispatch)

    @property
    def _is_alone(self) -> bool:
        """Whether a file is being hashed under which a worker may have been killed."""
        return len(self._hashing) == 1 and any(item.deaths for item in self._hashing.values())

    def _choose(self) -> list[_Queued]:
        """Return the next files, all of one device; none when there is none that may be begun now."""
        firsts = [item for device in list(self._devices) for item in [self._first(device)] if item is not None]
        free = [item for item in firsts if self._may_begin(item)]
        if not free:
            return []
        first = min(free, key=lambda item: item.rank)
        device = first.device
        # Where there is no room for the most urgent file, none is made for others: it would never have its turn.
        share = -(-len(self._queued) // self._hasher.workers)
        room = min(self._hasher.room(device, soon=first.soon), share, BATCH_FILES)
        batch: list[_Queued] = []
        size_bytes = 0
        while len(batch) < room and (item := self._first(device)) is not None:
            size_bytes += item.fingerprint.size_bytes
            if batch and size_bytes > BATCH_BYTES:
                break
            batch.append(heapq.heappop(self._devices[device])[1])
            del self._queued[item.job]
        return batch

    def _may_begin(self, item: _Queued) -> bool:
        """Return whether the device of a file bears another reader; what is for soon comes on top of large files."""
        readers = self._readers_soon if item.soon else self._readers
        return readers[item.device] < _medium(item).readers

    def _first(self, device: int) -> _Queued | None:
        """Return the most urgent file of a device that may be begun."""
        heap = self._devices[device]
        while heap and self._queued.get(heap[0][1].job) is not heap[0][1]:
            heapq.heappop(heap)  # taken back meanwhile
        if not heap:
            del self._devices[device]
            return None
        is_held = self.paused or bool(self.stepped_back and self._hashing)
        first = heap[0][1]
        return None if is_held and first.rank[0] is not Priority.INTERACTIVE else first

    def _begin(self, batch: Sequence[_Queued]) -> None:
        device, soon = batch[0].device, batch[0].soon
        self._readers[device] += 1
        self._readers_soon[device] += soon
        for item in batch:
            item.job.stage, item.job.read_at = Stage.HASHING, item.job.path
            self._hashing[item.job] = item
        files = [
            FileToHash(
                self._roots.name(item.job.path),
                item.fingerprint.size_bytes,
                with_tensors=self._tensor_digests and bool(item.job.claim),
            )
            for item in batch
        ]
        medium = _medium(batch[0])
        in_hand = dict(enumerate(batch))
        handed_over = HashBatch(files, device, medium.one_by_one, soon)
        self._hasher.submit(handed_over, partial(self._delivered, handed_over, in_hand))

    def _delivered(self, batch: HashBatch, in_hand: dict[int, _Queued], outcomes: Sequence[HashOutcome]) -> None:
        """Take what became of some files of a batch."""
        for outcome in outcomes:
            item = in_hand.pop(outcome.number)
            del self._hashing[item.job]
            if isinstance(outcome.result, Digest):
                self._rest_seconds = FIRST_REST_SECONDS
                self._on_read(Read(item.job, outcome.result, outcome.seconds))
            elif isinstance(outcome.result, NoWorkers):
                self._rest(item, outcome.result)
            elif self.stopping or not self._tries_again(item, outcome.result):
                self._on_read(Read(item.job, _BLAMED if item.deaths == DEATHS_MAX else outcome.result))
        if outcomes and not in_hand:
            self._readers[batch.device] -= 1
            self._readers_soon[batch.device] -= batch.soon
        self._came_on.set()
        self.dispatch()

    def _rest(self, item: _Queued, error: NoWorkers) -> None:
        """Begin nothing for a while: no file is to blame, and none could be hashed."""
        if not (self._resting or self.stopping):
            self._resting = True
            asyncio.get_running_loop().call_later(self._rest_seconds, self._rested)
            self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
        if not item.job.is_question:
            self._put(item)
        self._on_read(Read(item.job, error))

    def _rested(self) -> None:
        self._resting = False
        self.dispatch()

    def _tries_again(self, item: _Queued, error: HashError) -> bool:
        """Return whether a file is read once more, as that may answer."""
        if isinstance(error, FileVanished) and item.job.path != item.job.read_at:
            self._put(item)  # it was renamed before the worker had opened it
            return True
        if isinstance(error, WorkerDied):
            item.deaths += 1
            if item.deaths < DEATHS_MAX:
                self._suspects.append(item)
                return True
        return False


def _medium(item: _Queued) -> Medium:
    return medium_of(item.device, os.path.dirname(item.job.path))
