"""Events reach the event loop in order, and it is known how far behind it is."""

import asyncio
import threading

from tests.waiting import wait_until_async

from modelkeep.domain.events import EventsLost, FileGone, WatchEvent
from modelkeep.watch.event_queue import EventQueue


async def test_events_of_one_thread_keep_their_order() -> None:
    queue = EventQueue(asyncio.get_running_loop())

    def put_many(name: str) -> None:
        for number in range(2_000):
            queue.put(FileGone(f"{name}{number}"))

    threads = [threading.Thread(target=put_many, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    taken: list[WatchEvent] = []
    async with asyncio.timeout(30):
        while len(taken) < 6_000:
            taken += await queue.take(500)
    for name in "abc":
        mine = [event for event in taken if isinstance(event, FileGone) and event.path.startswith(name)]
        assert mine == [FileGone(f"{name}{number}") for number in range(2_000)]
    for thread in threads:
        thread.join()


async def test_events_stall_from_when_they_were_last_taken_until_more_is_asked_for() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    assert queue.stalled_seconds == 0
    queue.put(FileGone("/m/a"))
    waited = await wait_until_async(lambda: queue.stalled_seconds)
    await queue.take(10)
    await wait_until_async(lambda: queue.stalled_seconds > waited)  # they are being taken in
    more = asyncio.create_task(queue.take(10))
    await wait_until_async(lambda: queue.stalled_seconds == 0)
    more.cancel()


async def test_whoever_is_slow_with_events_is_behind_until_he_asks_for_more() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    assert not queue.is_behind
    queue.put(FileGone("a"))
    await wait_until_async(lambda: queue.is_behind)
    assert await queue.take(10) == [FileGone("a")]
    assert queue.is_behind, "they are being taken in"
    waiting = asyncio.create_task(queue.take(10))
    await wait_until_async(lambda: not queue.is_behind)
    queue.put(FileGone("b"))
    assert await waiting == [FileGone("b")]


async def test_whoever_has_to_look_again_is_behind_until_he_has() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    queue.put_again(FileGone("a"))
    assert queue.is_behind
    assert await queue.take(10) == [FileGone("a")]
    assert queue.is_behind
    waiting = asyncio.create_task(queue.take(10))
    await wait_until_async(lambda: not queue.is_behind)
    waiting.cancel()


async def test_that_events_were_lost_is_told_before_those_that_wait() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    for event in (FileGone("a"), FileGone("b"), EventsLost("root")):
        queue.put(event)
    assert await queue.take(10) == [EventsLost("root"), FileGone("a"), FileGone("b")]


async def test_no_more_are_taken_at_once_than_asked_for() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    for number in range(5):
        queue.put(FileGone(str(number)))
    assert [len(await queue.take(2)) for _ in range(3)] == [2, 2, 1]


async def test_whoever_waits_is_woken_by_an_event_of_another_thread() -> None:
    queue = EventQueue(asyncio.get_running_loop())
    for number in range(50):
        waiting = asyncio.ensure_future(queue.take(10))
        await asyncio.sleep(0)
        await asyncio.to_thread(queue.put, FileGone(str(number)))
        await wait_until_async(waiting.done)
        assert waiting.result() == [FileGone(str(number))]


def test_an_event_after_the_end_of_the_loop_is_dropped_quietly() -> None:
    loop = asyncio.new_event_loop()
    queue = EventQueue(loop)
    loop.close()
    queue.put(FileGone("a"))
