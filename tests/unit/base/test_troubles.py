"""What is wrong stays told until all who met it have succeeded."""

import asyncio

from modelkeep.base.persistence import CATALOGUE, persist
from modelkeep.base.troubles import Troubles
from modelkeep.errors import CatalogueError


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.troubles = Troubles(
            lambda event, fields: self.events.append(f"{event} {fields.get('error', '')}".strip())
        )

    def now(self) -> list[str]:
        return [trouble.sentence for trouble in self.troubles.current()]


def test_who_works_does_not_end_the_trouble_of_who_waits() -> None:
    told = Told()
    told.troubles.report(CATALOGUE, "full", "writer")
    told.troubles.clear(CATALOGUE, "reader")
    told.troubles.clear(CATALOGUE)
    assert told.now() == ["full"]
    told.troubles.clear(CATALOGUE, "writer")
    assert told.now() == []
    assert told.events == ["trouble.began full", "trouble.ended"]


def test_what_several_wait_for_is_told_once_and_ends_with_the_last() -> None:
    told = Told()
    for _ in range(3):
        told.troubles.report(CATALOGUE, "full", "one")
        told.troubles.report(CATALOGUE, "held", "other")
    assert told.now() == ["held"]
    told.troubles.clear(CATALOGUE, "other")
    assert told.now() == ["full"]
    told.troubles.clear(CATALOGUE, "one")
    assert told.events == ["trouble.began full", "trouble.began held", "trouble.ended"]


def test_the_trouble_of_who_tries_no_more_is_ended_by_anybody() -> None:
    told = Told()
    told.troubles.report(CATALOGUE, "full", "one")
    told.troubles.leave(CATALOGUE, "one")
    assert told.now() == ["full"]
    told.troubles.clear(CATALOGUE, "other")
    assert told.now() == []


async def test_a_step_that_succeeds_says_nothing_about_one_that_still_fails() -> None:
    told = Told()
    is_full = True
    failed = asyncio.Event()

    async def write() -> None:
        if is_full:
            failed.set()
            raise CatalogueError("full")

    async def read() -> None:
        pass

    writing = asyncio.create_task(persist(write, told.troubles))
    await failed.wait()
    await persist(read, told.troubles)
    assert told.now() == ["full"]
    is_full = False
    await writing
    assert told.now() == []
