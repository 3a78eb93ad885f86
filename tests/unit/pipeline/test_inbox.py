"""What gathers between two stages."""

import asyncio

from modelkeep.pipeline.inbox import Inbox


async def taken(inbox: Inbox[int]) -> list[int]:
    async with inbox.batch() as batch:
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
    async with inbox.batch():
        emptied = asyncio.create_task(inbox.emptied())
        await asyncio.sleep(0)
        assert not inbox.is_empty
        assert not emptied.done()
        inbox.put(2)
    assert not inbox.is_empty
    assert await taken(inbox) == [2]
    await emptied


async def test_whoever_waits_for_a_batch_gets_it_when_there_is_one() -> None:
    inbox: Inbox[int] = Inbox(3)
    waiting = asyncio.create_task(taken(inbox))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(1)
    assert await waiting == [1]
