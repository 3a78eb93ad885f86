"""Memory is given back when work is done, once."""

from functools import partial

import pytest

from modelkeep.service.resting import Resting


class Work:
    """How much was done and asked, whether something is on its way, and how often pages were released."""

    def __init__(self) -> None:
        self.done = self.looks_taken = self.put_off = self.releases = 0
        self.is_idle = True
        self.resting = Resting(
            lambda: self.done,
            lambda: self.looks_taken,
            lambda: self.is_idle,
            self._do_put_off,
            self._release,
            lambda: None,
        )

    def _do_put_off(self) -> bool:
        has_more = self.put_off > 0
        self.put_off -= has_more
        return has_more

    async def _release(self) -> None:
        self.releases += 1

    async def looks(self, *done: int) -> int:
        """Look at each of these moments; returns how often pages were released by then."""
        for self.done in done:
            await self.resting.look()
        return self.releases


async def test_memory_is_given_back_once_after_each_time_of_work() -> None:
    work = Work()
    assert await work.looks(5) == 0, "it may have been working until now"
    assert await work.looks(5, 5, 5) == 1
    assert await work.looks(6, 7, 8) == 1, "it works"
    assert await work.looks(8, 8) == 2


async def test_what_was_given_back_is_used_again_when_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("modelkeep.service.resting.give_back_memory", partial(told.append, "given"))
    monkeypatch.setattr("modelkeep.service.resting.take_memory_back", partial(told.append, "taken"))
    work = Work()
    await work.looks(5, 5, 5)
    assert told == ["taken", "given"]
    await work.looks(6, 6)
    assert told == ["taken", "given", "taken", "given"]


async def test_what_was_put_off_is_done_first_a_part_at_each_look() -> None:
    work = Work()
    work.put_off = 2
    assert await work.looks(5, 5, 5) == 0
    assert work.put_off == 0
    assert await work.looks(5, 5) == 1


async def test_nothing_is_given_back_while_something_is_on_its_way() -> None:
    work = Work()
    work.is_idle = False
    assert await work.looks(5, 5, 5) == 0
    work.is_idle = True
    assert await work.looks(5) == 1


async def test_what_the_idle_daemon_reads_of_the_catalogue_is_let_go_of_again() -> None:
    work = Work()
    assert await work.looks(5, 5) == 1
    work.looks_taken += 1
    assert await work.looks(5) == 2
    assert await work.looks(5) == 2
