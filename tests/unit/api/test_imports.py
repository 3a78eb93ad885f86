"""The import over HTTP: JSON Lines while it runs, a status where it cannot begin."""

import json
from typing import TYPE_CHECKING

import httpx
from structlog.testing import capture_logs

from modelkeep.domain.legacy import ImportOrder
from modelkeep.errors import CatalogueError, SourceError

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

BODY = {
    "kind": "hikaze",
    "source": "/old/db",
    "images": "/old/images",
    "map": [["D:\\models", "/srv/models"]],
    "dry_run": True,
}
PROGRESS: dict[str, object] = {"progress": {"phase": "images", "done": 1, "total": 2}}
REPORT: dict[str, object] = {"report": {"rows": 17}}


def lines(answer: httpx.Response) -> list[object]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_progress_and_report_come_as_json_lines(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    backend.stream = [PROGRESS, PROGRESS, REPORT]
    answer = await client.post("/api/import", json=BODY)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines(answer) == [PROGRESS, PROGRESS, REPORT]
    asked = (
        "import",
        ImportOrder("hikaze", "/old/db", "/old/images", (("D:\\models", "/srv/models"),), dry_run=True),
    )
    assert backend.changes == [asked]


async def test_a_source_that_cannot_be_read_is_400(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    backend.stream = [SourceError("/old/db is no database.")]
    answer = await client.post("/api/import", json=BODY)
    assert (answer.status_code, answer.json()) == (400, {"error": "/old/db is no database."})


async def test_an_import_that_breaks_off_ends_with_the_error(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    backend.stream = [PROGRESS, CatalogueError("The disk is full.")]
    answer = await client.post("/api/import", json=BODY)
    assert lines(answer) == [PROGRESS, {"error": "The disk is full."}]


async def test_an_unforeseen_end_is_logged_and_said(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    backend.stream = [PROGRESS, ZeroDivisionError("secret")]
    with capture_logs() as logged:
        answer = await client.post("/api/import", json=BODY)
    assert [entry["event"] for entry in logged] == ["import.failed"]
    assert set(lines(answer)[-1]) == {"error"}  # type: ignore[call-overload]  # a dict, as JSON
    assert "secret" not in answer.text


async def test_an_empty_import_answers_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/import", json=BODY)
    assert (answer.status_code, answer.content) == (200, b"")
