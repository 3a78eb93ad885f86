"""The hashing processes: who reads what, what is being read at this moment and how fast, and calling it off."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelkeep.base.log import get_logger
from modelkeep.disk.looks import SILENCE_SECONDS, STOP_SILENCE_SECONDS
from modelkeep.domain.hashing import ActiveHash, Deliver, Digest, FileToHash, HashBatch, HashOutcome
from modelkeep.errors import HashCancelled, HashError, NoWorkers, RootSilent, WorkerDied
from modelkeep.pipeline.hash_process import HashProcess, Message, result_of
from modelkeep.pipeline.sha256 import implementation

_log = get_logger("hashing")

MOST_WORKERS = 8
"""By default no more than this: beyond it disks are the bound, not processors."""

HANGING_MAX = 16
"""With so many processes left behind that hang in a read, no more are."""

IDLE_SECONDS = 10.0
"""How long a process without work stays."""

END_SECONDS = 2.0
"""How long processes may take to end at a stop before they are killed, and then to die."""

AHEAD_FILES, AHEAD_BYTES = 512, 32 << 20
"""A process has no more files or bytes in hand that are for soon."""

LARGE_FILES_MIN = 2
"""So many files a process has in hand also where it reads one at a time: the next one follows at once."""

_LOOK_SECONDS = 0.5
"""How often it is looked whether the processes come on."""


def default_workers() -> int:
    """Return how many workers suit this machine's processors."""
    return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS))


def large_files() -> int:
    """Return how many large files a process has in hand: those that it reads at once."""
    return max(implementation().streams, LARGE_FILES_MIN)


@dataclass(slots=True)
class _InHand:
    """A file that a process has in hand."""

    number: int
    asked: FileToHash
    deliver: Deliver
    soon: bool
    bytes_done: int = 0
    seconds: float = 0.0


class _Slot:
    """The place of one process: a process, once there is work, and the files that it has in hand."""

    def __init__(self) -> None:
        self.process: HashProcess | None = None
        self.has_begun = False
        self.files: dict[int, _InHand] = {}
        self.bytes = self.bytes_soon = 0
        self.large = 0
        """How many files it has in hand that are not for soon."""
        self.device = 0
        self.one_by_one = False
        self.came_on_at = 0.0
        self.idle: asyncio.TimerHandle | None = None

    def unreadiness(self) -> int:
        """Return how far it is from reading: 0 where its process has begun, 2 where that is still to be started."""
        return 2 - (self.process is not None) - self.has_begun

    def room(self, device: int, *, soon: bool) -> int:
        """Return for how many more files of a device it has room."""
        if self.files and self.device != device:
            return 0
        if not soon:
            return max(large_files() - self.large, 0)
        return max(AHEAD_FILES - len(self.files), 0) if self.bytes_soon < AHEAD_BYTES else 0

    def put(self, number: int, file: _InHand) -> None:
        """Have a file in hand."""
        self.files[number] = file
        self._count(file, 1)

    def pop(self, number: int) -> _InHand:
        """Have a file in hand no longer."""
        file = self.files.pop(number)
        self._count(file, -1)
        return file

    def _count(self, file: _InHand, sign: int) -> None:
        self.bytes += sign * file.asked.size_bytes
        self.bytes_soon += sign * file.asked.size_bytes * file.soon
        self.large += sign * (not file.soon)


class HashPool:
    """Hashes files in processes of their own, each of which reads from one device at a time.

    They are started when there is work, and end when there is none for a while. One that comes no further is left
    behind, killed if the kernel lets it, and another takes its place: it hangs in a read of a disk or server that is
    silent.

    Args:
        workers: number of processes; 0 = by processors.
        step_back: leave processor and disk to other programs whenever they want them.
        with_tensors: give tensors a digest of their own, where that costs little.
        silence_seconds: how long a worker may come no further.
        idle_seconds: how long a worker without work stays.
        on_silent: is called when a worker was left behind.
    """

    def __init__(
        self,
        workers: int,
        *,
        step_back: bool,
        with_tensors: bool = True,
        silence_seconds: float = SILENCE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        on_silent: Callable[[], object] = lambda: None,
    ) -> None:
        self.workers = workers or default_workers()
        self._step_back = step_back
        self._with_tensors = with_tensors
        self._slots = [_Slot() for _ in range(self.workers)]
        self._left: list[HashProcess] = []
        self._silence_seconds = silence_seconds
        self._idle_seconds = idle_seconds
        self._is_called_off = False
        self._why_slow = ""
        self._on_silent = on_silent
        self._last_number = 0
        self._looking: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._starting: set[asyncio.Task[None]] = set()

    def room(self, device: int, *, soon: bool) -> int:
        """Return how many more files of a device are taken now, see `Hashing.room`."""
        return max(slot.room(device, soon=soon) for slot in self._slots)

    def make_ready(self, files: int) -> None:
        """Start processes, see `Hashing.make_ready`; without work they stay as long as after it."""
        idle = sorted((slot for slot in self._slots if not slot.files), key=_Slot.unreadiness)
        for slot in idle[:files]:
            if slot.process is None:
                self._start(slot)
            elif slot.has_begun:
                self._rest(slot)

    def submit(self, batch: HashBatch, deliver: Deliver) -> None:
        """Hash files, see `Hashing.submit`."""
        slot = self._slot_for(batch)
        if not slot.files:
            slot.device, slot.one_by_one = batch.device, batch.one_by_one
            slot.came_on_at = time.monotonic()
        numbers = range(self._last_number + 1, self._last_number + 1 + len(batch.files))
        self._last_number += len(batch.files)
        for number, (index, asked) in zip(numbers, enumerate(batch.files), strict=True):
            slot.put(number, _InHand(index, asked, deliver, batch.soon))
        if slot.idle is not None:
            slot.idle.cancel()
        if slot.process is None:
            self._start(slot)
        if slot.has_begun:
            self._send(slot, numbers, soon=batch.soon)
        self._look_soon()

    def _slot_for(self, batch: HashBatch) -> _Slot:
        """Choose who reads files: a process that has nothing to do first, then the one with the least in hand.

        Of those that have nothing to do one that is there comes before one that is still to be started.

        Where no two files may be read at once, what is for soon goes to the one that would else read on.
        """
        goes_along = batch.soon and batch.one_by_one

        def rank(slot: _Slot) -> tuple[bool, bool, int, int, int]:
            is_apart = goes_along and not (slot.large and slot.device == batch.device)
            return (
                not slot.room(batch.device, soon=batch.soon),
                is_apart,
                slot.bytes,
                len(slot.files),
                slot.unreadiness(),
            )

        return min(self._slots, key=rank)

    def active(self) -> list[ActiveHash]:
        """Return what is being read."""
        return [
            ActiveHash(
                file.asked.file.path,
                file.bytes_done,
                file.asked.size_bytes,
                int(file.bytes_done / max(file.seconds, 1e-3)),
            )
            for slot in self._slots
            for file in [file for file in slot.files.values() if file.seconds] or list(slot.files.values())[:1]
        ]

    def cancel_all(self) -> None:
        """Call off all that was submitted; see `Hashing.cancel_all`."""
        for slot in self._slots:
            if slot.has_begun and slot.process is not None:
                slot.process.send(["cancel"])
            else:
                self._fail(slot, lambda _: HashCancelled("hashing was called off"))

    @property
    def hanging(self) -> int:
        """How many processes were left behind that have not ended yet."""
        self._left = [process for process in self._left if not process.ended.is_set()]
        return len(self._left)

    def hasten(self) -> None:
        """Wait no longer for what is called off than a stop may take."""
        self._is_called_off = True
        self._silence_seconds = min(self._silence_seconds, STOP_SILENCE_SECONDS)

    async def close(self) -> None:
        """Call off what runs and end the processes; one that the kernel does not let end is left behind."""
        self.cancel_all()
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for slot in self._slots:
            self._end(slot)
            self._fail(slot, lambda _: HashCancelled("hashing was called off"))
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for act in (HashProcess.end, HashProcess.kill):
            for process in processes:
                act(process)
            ended = [asyncio.ensure_future(process.ended.wait()) for process in processes]
            if ended:
                await asyncio.wait(ended, timeout=END_SECONDS)
            for waiting in ended:
                waiting.cancel()

    # Processes

    def _start(self, slot: _Slot) -> None:
        slot.process = HashProcess(lambda message: self._heard(slot, message), lambda: self._died(slot))
        task = asyncio.create_task(self._begin(slot, slot.process))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _begin(self, slot: _Slot, process: HashProcess) -> None:
        """Start a process; files are given to it when it has begun: one that dies earlier says nothing about them."""
        try:
            reason = await process.start(step_back=self._step_back, with_tensors=self._with_tensors)
        except Exception as error:  # whatever it is: nobody waits for ever for a process that does not come
            refused = (
                error if isinstance(error, NoWorkers) else NoWorkers(f"a worker process cannot be started: {error!r}")
            )
            if slot.process is process:
                slot.process = None
                self._fail(slot, lambda _: refused)
            return
        if slot.process is not process:
            process.kill()
            return
        self._tell_why_slow(reason)
        slot.has_begun, slot.came_on_at = True, time.monotonic()
        for soon in (True, False):
            self._send(slot, [number for number, file in slot.files.items() if file.soon is soon], soon=soon)
        if not slot.files:
            self._rest(slot)

    def _tell_why_slow(self, reason: str) -> None:
        if reason and reason != self._why_slow:
            _log.info("hashing.not_fastest", reason=reason)
        self._why_slow = reason

    def _rest(self, slot: _Slot) -> None:
        if slot.idle is not None:
            slot.idle.cancel()
        slot.idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end, slot)

    def _end(self, slot: _Slot) -> None:
        """Let a slot's process end."""
        process, slot.process, slot.has_begun = slot.process, None, False
        if slot.idle is not None:
            slot.idle.cancel()
        if process is not None:
            process.end()

    def _died(self, slot: _Slot) -> None:
        slot.process, slot.has_begun = None, False
        self._fail(slot, lambda _: WorkerDied("the worker process was killed, perhaps because memory ran out"))

    # Files

    def _send(self, slot: _Slot, numbers: Iterable[int], *, soon: bool) -> None:
        asked = ((number, slot.files[number].asked) for number in numbers)
        files = [[number, wanted.file.path, wanted.with_tensors] for number, wanted in asked]
        if files and slot.process is not None:
            slot.process.send(["read", slot.one_by_one, soon, files])

    def _heard(self, slot: _Slot, message: Message) -> None:
        """Take what a process says: how far it is, or what has become of files."""
        slot.came_on_at = time.monotonic()
        kind, items = message
        if kind == "at":
            for number, bytes_done, seconds in items:
                slot.files[number].bytes_done, slot.files[number].seconds = bytes_done, seconds
            return
        self._deliver(
            slot,
            [
                (number, result_of(slot.files[number].asked.file, *result), seconds)
                for number, seconds, result in items
            ],
        )
        if not slot.files and slot.process is not None:
            self._rest(slot)

    def _fail(self, slot: _Slot, why: Callable[[str], HashError | NoWorkers]) -> None:
        """Deliver that all that a slot has in hand could not be read."""
        self._deliver(slot, [(number, why(file.asked.file.path), 0.0) for number, file in slot.files.items()])

    def _deliver(self, slot: _Slot, results: Iterable[tuple[int, Digest | HashError | NoWorkers, float]]) -> None:
        """Deliver what has become of files, all of a batch together."""
        outcomes: defaultdict[Deliver, list[HashOutcome]] = defaultdict(list)
        for number, result, seconds in results:
            file = slot.pop(number)
            outcomes[file.deliver].append(HashOutcome(file.number, result, seconds))
        for deliver, of_batch in outcomes.items():
            deliver(of_batch)

    # Silence

    def _look_soon(self) -> None:
        if self._looking is None:
            self._looked_at = time.monotonic()
            self._looking = asyncio.get_running_loop().call_later(self._look_seconds, self._look)

    @property
    def _look_seconds(self) -> float:
        return min(_LOOK_SECONDS, self._silence_seconds / 2)

    def _look(self) -> None:
        """Leave those processes behind that come no further."""
        self._looking = None
        now = time.monotonic()
        was_away = now - self._looked_at > 2 * self._look_seconds + _LOOK_SECONDS
        for slot in self._slots:
            if was_away:  # it is us who were halted: what the processes say is still to be heard
                slot.came_on_at = now
            is_silent = slot.has_begun and slot.files and now - slot.came_on_at >= self._silence_seconds
            if is_silent and (self._is_called_off or self.hanging < HANGING_MAX):
                self._leave(slot)
        if any(slot.files for slot in self._slots):
            self._look_soon()

    def _leave(self, slot: _Slot) -> None:
        """Leave a process behind, and whatever it has in hand."""
        if slot.process is not None:
            slot.process.kill()
            self._left.append(slot.process)
        slot.process, slot.has_begun = None, False
        if self._is_called_off:
            self._fail(slot, lambda _: HashCancelled("hashing was called off"))
            return
        self._on_silent()
        self._fail(slot, self._silent)

    def _silent(self, path: str) -> RootSilent:
        return RootSilent(
            f"{os.path.basename(path)} could not be read: nothing has come for {self._silence_seconds:g} s; "
            "is its disk or server alive?"
        )
