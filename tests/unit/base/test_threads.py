"""Threads that are renewed do what was asked of them, and end."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.waiting import DEADLINE_SECONDS

from modelkeep.base.threads import Threads


@pytest.fixture
def one() -> Iterator[Threads]:
    """A single thread, whichever it is at a time."""
    threads = Threads("one", 1)
    yield threads
    threads.shutdown()


def test_threads_that_are_renewed_end_and_others_do_what_is_asked_afterwards(one: Threads) -> None:
    before = one.submit(threading.current_thread).result()
    one.renew()
    before.join(DEADLINE_SECONDS)
    assert not before.is_alive()
    assert one.submit(threading.current_thread).result() is not before


def test_one_thread_takes_functions_in_the_order_of_the_calls_while_it_is_renewed(one: Threads) -> None:
    is_asked, is_late = threading.Event(), threading.Event()

    def first() -> bool:
        is_asked.wait(DEADLINE_SECONDS)
        return is_late.wait(0.1)

    early = one.submit(first)
    one.renew()
    late = one.submit(is_late.set)
    is_asked.set()
    assert early.result() is False, "what was asked later was done at the same time"
    late.result()


def test_each_new_pool_is_told_before_anything_is_asked_of_it() -> None:
    told: list[ThreadPoolExecutor] = []
    threads = Threads("told", on_new=told.append)
    threads.renew()
    assert threads.submit(int, "7").result() == told[-1].submit(int, "7").result() == 7
    threads.shutdown()
    with pytest.raises(RuntimeError):
        told[0].submit(int)
