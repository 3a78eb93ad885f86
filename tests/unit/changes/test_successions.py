"""Whether weights lie under a new header is asked again when something has changed, or is still to be done."""

import asyncio
from contextlib import suppress
from typing import Any, cast

from modelkeep.base.troubles import Troubles
from modelkeep.changes.successions import Successions
from modelkeep.errors import NotFound

A, B = "a" * 64, "b" * 64


class Known:
    """A catalogue that counts how often it is asked, and images that are looked at with each look."""

    def __init__(self) -> None:
        self.changes = 0
        self.pairs: list[tuple[str, str]] = []
        self.asked = 0
        self.looked = asyncio.Event()

    async def successions(self) -> list[tuple[str, str]]:
        self.asked += 1
        return self.pairs

    async def take(self) -> None:
        self.looked.set()

    async def inherit(self, heir: str, origin: str, *, by_owner: bool) -> None:
        raise NotFound("not now")


async def test_the_catalogue_is_asked_again_only_when_it_changed_or_something_is_left() -> None:
    known: Any = Known()
    successions = Successions(known, known, lambda _: None, Troubles(lambda event, fields: None), known)
    running = asyncio.create_task(successions.run())

    async def look() -> int:
        known.asked = 0
        known.looked.clear()
        successions.look()
        await known.looked.wait()
        return cast("int", known.asked)

    assert [await look(), await look()] == [1, 0]
    known.changes += 1
    known.pairs = [(A, B)]
    assert [await look(), await look()] == [1, 1]
    known.pairs = []
    assert [await look(), await look()] == [1, 0]
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
