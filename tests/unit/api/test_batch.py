"""A batch tells of each row what became of it, and no row holds up another."""

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.waiting import DEADLINE_SECONDS

from modelkeep.api import reports
from modelkeep.api.batch import import_rows
from modelkeep.domain.values import Action, Strategy
from modelkeep.errors import Busy, Conflict, FileVanished, NotFound, OutsideRoots

from .conftest import A, FakeBackend

if TYPE_CHECKING:
    from modelkeep.api.backend import Backend


async def test_each_row_is_told_of_in_its_own_list(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    backend.fates = {
        1: Action.CREATED,
        2: Action.OVERRIDDEN,
        3: Action.IGNORED,
        4: Action.DELETED,
        5: FileVanished("there is no file at /m/5"),
        6: Busy("row 6 is being hashed or migrated at this moment"),
        7: Conflict("choose"),
        8: Conflict("choose"),
        9: RuntimeError("a fault of the program"),
        10: OutsideRoots("/secret/path"),
        11: NotFound("there is no row 11 in the queue"),
    }
    answer = await client.post(
        "/api/migration/import_models", json={"id": [*range(1, 13), 1], "conflict_strategy": ""}
    )
    told = answer.json()
    assert answer.status_code == 207
    reports.MigratedMany.model_validate(told)
    failed = {row["id"]: row["error"] for row in told.pop("failed")}
    assert backend.row is not None
    conflict = {
        "pending": {"id": 7, "path": backend.row.pending.path},
        "existing": {"id": A, "path": backend.details.model.path},
    }
    assert told == {"total": 12, "success": [1, 2, 12], "conflict": [conflict], "ignored": [3], "deleted": [4]}
    assert failed.keys() == {5, 6, 8, 9, 10, 11}
    assert failed[5] == "there is no file at /m/5"
    assert "being hashed or migrated" in failed[6]
    assert failed[8] == "choose"
    assert "log" in failed[9]
    assert "secret" not in failed[10]
    assert sorted(backend.changes, key=repr) == sorted([("resolve", row, None) for row in range(1, 13)], key=repr)


async def test_the_strategy_counts_for_each_row(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    await client.post("/api/migration/import_models", json={"id": [7, 8], "conflict_strategy": "merge"})
    assert backend.changes == [("resolve", 7, Strategy.MERGE), ("resolve", 8, Strategy.MERGE)]


async def test_no_rows_are_a_batch_too(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/migration/import_models", json={"id": []})
    lists = ("success", "conflict", "ignored", "deleted", "failed")
    assert (answer.status_code, answer.json()) == (207, {"total": 0, **{name: [] for name in lists}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "id in the body"),
        ({"id": 7}, "id in the body"),
        ({"id": ["7"]}, "id.0 in the body"),
        ({"id": [0]}, "id.0 in the body"),
        ({"id": [7], "conflict_strategy": "guess"}, "conflict_strategy in the body"),
    ],
)
async def test_a_batch_that_cannot_be_meant_is_refused_as_a_whole(
    client: httpx.AsyncClient, backend: FakeBackend, body: object, said: str
) -> None:
    answer = await client.post("/api/migration/import_models", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)
    assert backend.changes == []


async def test_rows_are_on_their_way_side_by_side() -> None:
    class Meeting(FakeBackend):
        def __init__(self) -> None:
            super().__init__()
            self.all_here = asyncio.Event()
            self.here = 0

        async def resolve(self, pending_id: int, strategy: Strategy | None, path: str = "") -> tuple[str, Action]:
            self.here += 1
            if self.here == 5:
                self.all_here.set()
            await asyncio.wait_for(self.all_here.wait(), DEADLINE_SECONDS)
            return A, Action.CREATED

    meeting: Backend = Meeting()
    assert (await import_rows(meeting, [1, 2, 3, 4, 5], None))["success"] == [1, 2, 3, 4, 5]


async def test_ten_thousand_rows_come_to_their_ends(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    backend.fates = {number: NotFound("gone") for number in range(1, 10_001, 2)}
    answer = (await client.post("/api/migration/import_models", json={"id": list(range(1, 10_001))})).json()
    assert (answer["total"], len(answer["failed"])) == (10_000, 5000)
    assert answer["success"] == list(range(2, 10_001, 2))
