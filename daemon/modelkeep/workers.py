"""A pool of worker processes that survives the death of a worker and dies with the daemon.

Facts behind the shape of it (CPython 3.11): one killed worker breaks a ProcessPoolExecutor and all its futures for
good; workers outlive a killed parent unless the kernel is told otherwise (PR_SET_PDEATHSIG), and that signal fires
when the *thread* that started the worker ends. So workers are spawned, never forked from this threaded process, and
`run` is awaited on the event loop of the main thread, which lives as long as the daemon does.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from modelkeep.errors import WorkerDied

P = ParamSpec("P")
T = TypeVar("T")

_PR_SET_PDEATHSIG = 1


class WorkerPool:
    """Runs functions in worker processes.

    Args:
        workers: number of processes.
        initializer: runs once in each new worker, with `initargs`.
    """

    def __init__(
        self, workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()
    ) -> None:
        self.workers = workers
        self._initializer = initializer
        self._initargs = initargs
        self._executor: ProcessPoolExecutor | None = None
        self._running = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a worker.

        Raises:
            WorkerDied: the worker was killed meanwhile; the pool has been made anew.
        """
        executor = self._executor or self._start()
        try:
            future = executor.submit(function, *args, **kwargs)
        except BrokenProcessPool:
            # It broke since the last call, under another's work: that is no failure of this one.
            self._discard(executor)
            executor = self._executor or self._start()
            future = executor.submit(function, *args, **kwargs)
        self._running += 1
        try:
            return await asyncio.wrap_future(future)
        except BrokenProcessPool as error:
            self._discard(executor)
            raise WorkerDied("the worker process was killed, perhaps because memory ran out") from error
        finally:
            self._running -= 1

    def shutdown(self) -> None:
        """End the workers. Work that waits is dropped; work that runs must have been called off by its own means."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def release(self) -> None:
        """End the workers to free their memory, if they are idle; the next call starts new ones."""
        if not self._running:
            self.shutdown()

    def _start(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
            initargs=(os.getpid(), self._initializer, self._initargs),
        )
        # All workers start together, before anything can break: one that is started on demand in the instant in which
        # the pool breaks is never ended, and the interpreter waits for it at its exit.
        executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
        self._executor = executor
        return executor

    def _discard(self, executor: ProcessPoolExecutor) -> None:
        # Several calls see the same break; only the first replaces the pool.
        if self._executor is executor:
            self._executor = None
        executor.shutdown(wait=False, cancel_futures=True)


def _begin_worker(parent: int, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    """Tie a new worker's life to its parent's and leave the terminal's signals to the parent."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if initializer is not None:
        initializer(*initargs)
