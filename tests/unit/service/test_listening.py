"""Whoever listens is told every record once, in order, however far behind and however slow he is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.waiting import DEADLINE_SECONDS, wait_until_async

from modelkeep.domain.notices import Notice
from modelkeep.errors import Overloaded
from modelkeep.journal.writer import JournalWriter
from modelkeep.service.listening import RECORDS_AT_ONCE, Listening


class Daemon:
    """A journal of small segments, and what is hashed."""

    def __init__(self, folder: Path) -> None:
        self.journal = JournalWriter.open(folder, segment_bytes=5000, keep_segments=4)
        self.active: list[dict[str, object]] = []
        self.stops = False
        self.listening = Listening(
            folder, lambda: self.journal.seq, lambda: list(self.active), lambda: self.stops, listeners_max=2
        )

    def write(self, count: int) -> None:
        self.journal.write_many([("file.detected", {"path": "/m/x.pt"})] * count)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.journal.close()


async def numbers(notices: AsyncIterator[Notice], count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        notice = await asyncio.wait_for(anext(notices), DEADLINE_SECONDS)
        found += [notice.seq] if notice.record is not None else []
    return found


async def test_records_come_from_now_on_or_after_one_through_many_segments(daemon: Daemon) -> None:
    daemon.write(30)
    behind, fresh = daemon.listening.notices(12), daemon.listening.notices(None)
    waiting = asyncio.ensure_future(numbers(fresh, 1))
    assert await numbers(behind, 18) == list(range(13, 31))
    await wait_until_async(lambda: daemon.listening._listeners == 2)
    daemon.write(2 * RECORDS_AT_ONCE)
    assert (await waiting)[0] > 30
    last = daemon.journal.seq
    # Older segments are gone by now: what is left comes in order, and nothing twice.
    rest = await numbers(behind, 20)
    assert rest == sorted(set(rest))
    late = daemon.listening
    daemon.stops = True
    assert [notice async for notice in behind] == []
    assert late._listeners == 1
    assert last == daemon.journal.seq


async def test_one_that_knows_more_than_there_is_hears_what_is_new(daemon: Daemon) -> None:
    daemon.write(3)
    notices = daemon.listening.notices(1000)
    waiting = asyncio.ensure_future(numbers(notices, 2))
    await wait_until_async(lambda: daemon.listening._listeners == 1)
    await asyncio.sleep(0)
    while not waiting.done():
        daemon.write(1)
        await asyncio.sleep(0.05)
    first, second = waiting.result()
    assert (first > 3, second) == (True, first + 1)


async def test_progress_is_told_when_it_is_another_and_when_it_ends(daemon: Daemon) -> None:
    notices = daemon.listening.notices(None)
    for active in ([{"path": "/m/a", "bytes_done": 1}], []):
        daemon.active = active
        assert await asyncio.wait_for(anext(notices), DEADLINE_SECONDS) == Notice(hashing=active)


async def test_no_more_listen_than_may_and_who_leaves_makes_room(daemon: Daemon) -> None:
    daemon.write(5)
    both = [daemon.listening.notices(0) for _ in range(2)]
    for notices in both:
        await numbers(notices, 1)
    with pytest.raises(Overloaded):
        daemon.listening.notices(0)
    await both[0].aclose()  # type: ignore[attr-defined]
    assert await numbers(daemon.listening.notices(4), 1) == [5]
