"""Where is looked for what lies beside models, by what the journal says."""

import asyncio
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest
from tests.waiting import wait_until_async

from modelkeep.base.troubles import Troubles
from modelkeep.domain.values import Record
from modelkeep.watch import sidecars
from modelkeep.watch.sidecars import Sidecars


class Asked:
    """Everything that they ask of others, noted."""

    def __init__(self) -> None:
        self.folders: set[str] = set()
        self.attached: list[Sequence[str] | None] = []
        self.doubted = 0

    async def take_in(self, folders: set[str], _trees: set[str]) -> None:
        self.folders |= folders

    async def attach(self, paths: Sequence[str] | None = None, _contents: Sequence[str] = ()) -> None:
        self.attached.append(paths)

    async def unheard(self) -> list[str]:
        return []

    async def may_attach(self, _paths: Sequence[str], _contents: Sequence[str]) -> bool:
        self.doubted += 1
        return True

    async def take_images(self) -> None:
        pass


@pytest.fixture
def asked() -> Asked:
    return Asked()


def sidecars_of(asked: Asked) -> Sidecars:
    others = cast("Any", asked)
    return Sidecars(others, others, asked.take_images, others, Troubles(lambda *_: None))


def imported(count: int) -> Iterator[Record]:
    for number in range(count):
        fields = {"path": f"/m/{number % 3}/{number}.pt", "sha256": f"{number:064x}", "source": "hikaze-v1"}
        yield "migration.finished", fields


async def test_after_an_import_its_folders_are_looked_at_and_everything_is_attached(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecars, "SETTLE_SECONDS", 0.01)
    one = sidecars_of(asked)
    running = asyncio.create_task(one.run())
    await wait_until_async(lambda: asked.attached == [None], what="the pass of a start")
    one.hear_records(imported(30))
    await wait_until_async(lambda: asked.attached == [None, None], what="the pass after an import")
    one.hear_records([("migration.finished", {"path": "/m/9/a.pt", "sha256": "a" * 64})])
    await wait_until_async(lambda: asked.attached == [None, None, ["/m/9/a.pt"]], what="the pass after a migration")
    assert asked.folders == {"/m/0", "/m/1", "/m/2", "/m/9"}
    assert asked.doubted == 1
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_noted_of_an_import_does_not_grow_with_it(asked: Asked) -> None:
    one = sidecars_of(asked)
    tracemalloc.start()
    one.hear_records(imported(20_000))
    await asyncio.sleep(0)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100_000
