"""What gathers between two stages."""

import asyncio
import weakref

from modelkeep.pipeline.inbox import Inbox


async def taken(inbox: Inbox[int]) -> list[int]:
    batch: list[int] = []

    async def note(items: list[int]) -> None:
        batch.extend(items)

    await inbox.take(note)
    return batch


async def test_what_came_since_the_last_batch_is_the_next_and_none_is_larger_than_the_bound() -> None:
    inbox: Inbox[int] = Inbox(3)
    for number in range(5):
        inbox.put(number)
    assert [await taken(inbox), await taken(inbox)] == [[0, 1, 2], [3, 4]]
    assert inbox.is_empty


async def test_it_is_empty_only_when_what_was_taken_is_done_with() -> None:
    inbox: Inbox[int] = Inbox(3)
    inbox.put(1)
    emptied = asyncio.create_task(inbox.emptied())

    async def at_work(_: list[int]) -> None:
        await asyncio.sleep(0)
        assert not inbox.is_empty
        assert not emptied.done()
        inbox.put(2)

    await inbox.take(at_work)
    assert not inbox.is_empty
    assert await taken(inbox) == [2]
    await emptied


class Item:
    """What a batch holds; unlike a number it can be referred to weakly."""


async def test_who_waits_for_the_next_batch_holds_on_to_none_of_the_last() -> None:
    inbox: Inbox[Item] = Inbox(3)
    item = Item()
    held = weakref.ref(item)
    came = asyncio.Event()

    async def serve() -> None:
        while True:
            await inbox.take(note)

    async def note(_: list[Item]) -> None:
        came.set()

    serving = asyncio.create_task(serve())
    inbox.put(item)
    del item
    await came.wait()
    await inbox.emptied()
    await asyncio.sleep(0)
    assert held() is None
    serving.cancel()


async def test_whoever_waits_for_a_batch_gets_it_when_there_is_one() -> None:
    inbox: Inbox[int] = Inbox(3)
    waiting = asyncio.create_task(taken(inbox))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(1)
    assert await waiting == [1]
