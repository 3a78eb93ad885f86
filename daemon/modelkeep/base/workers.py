"""A pool of worker processes that survives the death of a worker and dies with the daemon.

Facts behind the shape of it (CPython 3.11): one killed worker breaks a ProcessPoolExecutor and all its futures for
good; workers outlive a killed parent unless the kernel is told otherwise (PR_SET_PDEATHSIG), and that signal fires
when the *thread* that started the worker ends. So workers are spawned, never forked from this threaded process, and
`run` is awaited on the event loop of the main thread, which lives as long as the daemon does.

Nothing is given to the workers before all of them have begun: one that dies earlier says nothing about any work.
"""

import asyncio
import errno
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Semaphore
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from modelkeep.base.processes import START_SECONDS, tie_to, why_none
from modelkeep.errors import NoWorkers, WorkerDied

P = ParamSpec("P")
T = TypeVar("T")

END_SECONDS = 2.0
"""How long workers may take to end before they are killed, and then to die; longer nobody waits for them."""

_begun: Semaphore | None = None
"""In a worker: raised once by each worker of its pool that has begun."""


class WorkerPool:
    """Runs functions in worker processes.

    Args:
        workers: number of processes.
        initializer: runs once in each new worker.
    """

    def __init__(self, workers: int, initializer: Callable[[], None] | None = None) -> None:
        self.workers = workers
        self._initializer = initializer
        self._executor: ProcessPoolExecutor | None = None
        self._starting: asyncio.Task[ProcessPoolExecutor] | None = None
        self._running = 0
        self._left: list[Thread] = []

    @property
    def hanging(self) -> int:
        """How many times workers were left behind that have not ended yet."""
        self._left = [manager for manager in self._left if manager.is_alive()]
        return len(self._left)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a worker.

        Raises:
            WorkerDied: the worker was killed meanwhile; the pool has been made anew.
            NoWorkers: no worker can be started, with the reason and what helps.
        """
        self._running += 1
        try:
            executor = await self._ready()
            try:
                future = executor.submit(function, *args, **kwargs)
            except BrokenProcessPool:
                # It broke since the last call, under another's work: that is no failure of this one.
                self._discard(executor)
                executor = await self._ready()
                future = executor.submit(function, *args, **kwargs)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool as error:
            self._discard(executor)
            raise WorkerDied("the worker process was killed, perhaps because memory ran out") from error
        finally:
            self._running -= 1

    def shutdown(self) -> bool:
        """End the workers; returns whether all have ended.

        Work that waits is dropped; work that runs must have been called off by its own means. A worker that does not
        end is killed, and one that cannot be killed, for its disk does not answer, is left behind.
        """
        return self._end(END_SECONDS, END_SECONDS)

    def abandon(self, wait_seconds: float = 0.0) -> bool:
        """Kill the workers, whatever they do; the next call starts new ones. Whether they are gone by then."""
        return self._end(0.0, wait_seconds)

    def release(self) -> None:
        """End the workers to free their memory, if they are idle; the next call starts new ones."""
        if not self._running:
            self.shutdown()

    async def _ready(self) -> ProcessPoolExecutor:
        """Return the executor, all of whose workers have begun; several calls wait for one start."""
        if self._executor is not None:
            return self._executor
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_all())
            self._starting.add_done_callback(self._started)
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise WorkerDied("the worker processes were ended before they had begun") from None
            raise

    def _started(self, task: asyncio.Task[ProcessPoolExecutor]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # whoever waits raises it; perhaps nobody does any more

    async def _start_all(self) -> ProcessPoolExecutor:
        executor: ProcessPoolExecutor | None = None
        try:
            executor = self._start()
            await asyncio.wrap_future(executor.submit(_await_all, self.workers))
        except BaseException as error:
            if executor is not None:
                _kill_all(executor)
            if isinstance(error, OSError | BrokenProcessPool):
                raise NoWorkers(why_none(error)) from error
            raise
        self._executor = executor
        return executor

    def _end(self, seconds: float, seconds_to_die: float) -> bool:
        """End the workers within a time, and by force within another."""
        starting, executor, self._executor = self._starting, self._executor, None
        if starting is not None and not starting.get_loop().is_closed():
            starting.get_loop().call_soon_threadsafe(starting.cancel)
        if executor is None:
            return True
        manager: Any = executor._executor_manager_thread
        processes = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        if manager is None:
            return True
        manager.join(seconds)
        if manager.is_alive():
            for process in processes:
                process.kill()
            manager.join(seconds_to_die)
        if manager.is_alive():
            self._left.append(manager)
        return not manager.is_alive()

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(
            self.workers,
            mp_context=context,
            initializer=_begin_worker,
            initargs=(os.getpid(), context.Semaphore(0), self._initializer),
        )
        # All workers start together, before anything can break: one that is started on demand in the instant in which
        # the pool breaks is never ended, and the interpreter waits for it at its exit.
        executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
        return executor

    def _discard(self, executor: ProcessPoolExecutor) -> None:
        # Several calls see the same break; only the first replaces the pool.
        if self._executor is executor:
            self._executor = None
        executor.shutdown(wait=False, cancel_futures=True)


def _kill_all(executor: ProcessPoolExecutor) -> None:
    """End what has been started of a pool that cannot be started as a whole; nobody else would."""
    begun = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in begun:
        process.kill()


def _await_all(workers: int) -> None:
    """Wait, in a worker, until so many have begun."""
    assert _begun is not None  # noqa: S101 - every worker has it from the beginning
    for _ in range(workers):
        if not _begun.acquire(timeout=START_SECONDS):
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _begin_worker(parent: int, begun: Semaphore, initializer: Callable[[], None] | None) -> None:
    """Prepare a new worker."""
    tie_to(parent)
    if initializer is not None:
        initializer()
    global _begun
    _begun = begun
    begun.release()
