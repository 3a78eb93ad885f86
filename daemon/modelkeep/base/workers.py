"""A pool of worker processes that survives the death of a worker and dies with the daemon.

Written by hand: `concurrent.futures` and `multiprocessing` (CPython 3.11) load a tenth of a second of what no call
needs into each worker, keep another process beside them, and have one killed worker break all others. Here one is
started when there is work for it (one image needs one), and a killed one costs only its own call.

Each worker belongs to a thread, which starts it, hands it one call after the other and waits for its end. Workers
outlive a killed parent unless the kernel is told otherwise (PR_SET_PDEATHSIG), and that signal comes when the thread
ends that started the worker: so it lives as long as its worker.

A worker gets nothing before it has begun: one that dies earlier says nothing about any work.
"""

import asyncio
import errno
import os
import pickle
import select
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO, Any, NamedTuple, ParamSpec, TypeVar

from modelkeep.base.processes import START_SECONDS, start, why_none
from modelkeep.errors import NoWorkers, WorkerDied

P = ParamSpec("P")
T = TypeVar("T")

END_SECONDS = 2.0
"""How long workers may take to end before they are killed, and then to die; longer nobody waits for them."""

PROGRAM = "from modelkeep.base.worker import main; main()"

_BROKEN = (EOFError, OSError, pickle.UnpicklingError)
"""What reading from a worker that has died, and writing to it, comes to."""


class _Work(NamedTuple):
    """A call, and who waits for it."""

    call: bytes
    answer: "Future[Any]"


class WorkerPool:
    """Runs functions in worker processes.

    Args:
        workers: number of processes at most.
        initializer: runs once in each new worker.
    """

    def __init__(self, workers: int, initializer: Callable[[], None] | None = None) -> None:
        self.workers = workers
        self._beginning = pickle.dumps(initializer)
        self._lock = Lock()
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._slots: list[_Slot] = []
        self._waited_for: set[Future[Any]] = set()
        self._left: list[_Slot] = []

    @property
    def hanging(self) -> int:
        """How many workers were left behind that have not ended yet."""
        self._left = [slot for slot in self._left if slot.is_alive()]
        return len(self._left)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a worker.

        Raises:
            WorkerDied: the worker was killed meanwhile; the next call starts another.
            NoWorkers: no worker can be started, with the reason and what helps.
        """
        answer: Future[T] = Future()
        self._submit(_Work(pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL), answer))
        return await asyncio.wrap_future(answer)

    def shutdown(self) -> bool:
        """End the workers; returns whether all have ended.

        Work that waits is dropped; work that runs must have been called off by its own means. A worker that does not
        end is killed, and one that cannot be killed, for its disk does not answer, is left behind.
        """
        return self._end(self._taken_apart(), END_SECONDS, END_SECONDS)

    def abandon(self, wait_seconds: float = 0.0) -> bool:
        """Kill the workers, whatever they do; the next call starts new ones. Whether they are gone by then."""
        return self._end(self._taken_apart(), 0.0, wait_seconds)

    def release(self) -> None:
        """End the workers to free their memory, if they are idle; the next call starts new ones."""
        with self._lock:
            if self._waited_for:
                return
            slots = self._take_apart()
        self._end(slots, END_SECONDS, END_SECONDS)

    def _submit(self, work: _Work) -> None:
        with self._lock:
            self._waited_for.add(work.answer)
            self._work.put(work)
            if len(self._slots) < min(self.workers, len(self._waited_for)):
                self._slots.append(_Slot(self._work, self._beginning))
                self._slots[-1].start()
        work.answer.add_done_callback(self._waited_for.discard)

    def _taken_apart(self) -> "list[_Slot]":
        with self._lock:
            return self._take_apart()

    def _take_apart(self) -> "list[_Slot]":
        """Drop what waits, have the workers end when they are done, and let the next call begin anew."""
        slots, work = self._slots, self._work
        self._slots, self._work = [], SimpleQueue()
        with suppress(Empty):
            while waiting := work.get_nowait():
                if waiting.answer.set_running_or_notify_cancel():
                    waiting.answer.set_exception(WorkerDied("the worker processes were ended before it was its turn"))
        for _ in slots:
            work.put(None)
        return slots

    def _end(self, slots: "list[_Slot]", seconds: float, seconds_to_die: float) -> bool:
        """Wait for the end of workers, kill those that have not ended by then, and wait again."""
        _join(slots, seconds)
        for slot in slots:
            slot.kill()
        _join(slots, seconds_to_die)
        alive = [slot for slot in slots if slot.is_alive()]
        self._left += alive
        return not alive


class _Slot(Thread):
    """A thread and its worker, which is started when there is work and none is alive.

    Args:
        work: from which it takes what is next, until that is None.
        beginning: what a worker is told first.
    """

    def __init__(self, work: "SimpleQueue[_Work | None]", beginning: bytes) -> None:
        super().__init__(name="worker", daemon=True)
        self._work = work
        self._beginning = beginning
        self._lock = Lock()
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Have the worker do one call after the other."""
        while work := self._work.get():
            if work.answer.set_running_or_notify_cancel():
                self._do(work)
            del work  # what was answered is not kept until the next call
        self._leave()

    def kill(self) -> None:
        """Kill the worker, and start none any more."""
        with self._lock:
            self._is_over = True
            if self._process is not None:
                self._process.kill()

    def _do(self, work: _Work) -> None:
        try:
            is_done, outcome = self._asked(work.call)
        except Exception as error:  # of the pool's own, or what the worker says cannot be understood here
            is_done, outcome = False, error
        if is_done:
            work.answer.set_result(outcome)
        else:
            work.answer.set_exception(outcome)

    def _asked(self, call: bytes) -> tuple[bool, Any]:
        process = self._living()
        try:
            _write(process, call)
            answer: tuple[bool, Any] = _read(process)
        except _BROKEN as error:
            self._leave()
            raise WorkerDied("the worker process was killed, perhaps because memory ran out") from error
        except BaseException:
            self._leave()  # the rest of an answer that nobody understands would be taken for that of the next call
            raise
        return answer

    def _living(self) -> "subprocess.Popen[bytes]":
        """Return the worker, a new one if there is none or it has died."""
        if self._process is not None and _says_something(self._process, 0.0):
            self._leave()  # nobody has asked it anything: that is its end
        if self._process is not None:
            return self._process
        try:
            return self._start()
        except _BROKEN as error:
            self._leave()
            if self._is_over:
                raise WorkerDied("the worker process was ended before it had begun") from error
            raise NoWorkers(why_none(BrokenPipeError() if isinstance(error, EOFError) else error)) from error

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._is_over:
                raise EOFError
            process = self._process = start(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _write(process, self._beginning)
        if not _says_something(process, START_SECONDS):
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        _read(process)
        return process

    def _leave(self) -> None:
        """End the worker, which has nothing in hand, and wait for that."""
        process = self._process
        if process is None:
            return
        process.kill()
        for stream in _streams(process):
            with suppress(OSError):  # what it should have been told
                stream.close()
        process.wait()
        with self._lock:
            self._process = None


def _streams(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    return process.stdin, process.stdout


def _write(process: "subprocess.Popen[bytes]", said: bytes) -> None:
    calls, _ = _streams(process)
    calls.write(said)
    calls.flush()


def _read(process: "subprocess.Popen[bytes]") -> Any:
    return pickle.load(_streams(process)[1])  # noqa: S301 - our own process wrote it


def _says_something(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Return whether there is an answer, or the end of all answers, within a time."""
    waiting = select.poll()
    waiting.register(_streams(process)[1], select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _join(slots: "list[_Slot]", seconds: float) -> None:
    until = time.monotonic() + seconds
    for slot in slots:
        slot.join(max(0.0, until - time.monotonic()))
