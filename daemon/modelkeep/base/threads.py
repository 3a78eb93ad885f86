"""Threads that others take the place of when there is nothing to do.

glibc keeps for each thread some of the pieces of the heap that it freed last, wherever they lie: after much work each
thread that stays keeps hundreds of pages in which there is nothing else.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Carries functions out in threads; a single one takes them in the order of the calls, whatever is renewed.

    Args:
        name: what the names of the threads begin with.
        count: how many at most; None: as many as Python thinks right.
        on_new: told of each pool of threads, before anything is asked of it.
    """

    def __init__(
        self, name: str, count: int | None = None, on_new: Callable[[ThreadPoolExecutor], object] = lambda _: None
    ) -> None:
        self._name, self._count, self._on_new = name, count, on_new
        self._pool = self._new_pool()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function carried out; returns where its outcome will be."""
        return self._pool.submit(function, *args, **kwargs)

    def renew(self) -> None:
        """Have each thread end when all that was asked of it is done, and others do what is asked from now on.

        To be called where functions are submitted.
        """
        before, self._pool = self._pool, self._new_pool()
        before.shutdown(wait=False)
        if self._count == 1:  # what is asked from now on comes after what was asked before
            self._pool.submit(before.shutdown)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; see `Executor.shutdown`."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _new_pool(self) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(self._count, self._name)
        self._on_new(pool)
        return pool
