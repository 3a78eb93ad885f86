"""What happens is told as Server-Sent Events that any browser understands."""

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from modelkeep.domain.notices import Notice
from modelkeep.errors import JournalError, Overloaded

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend


def events_of(text: str) -> list[dict[str, str]]:
    """Return the events of a stream as a browser takes them apart."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block]
    lines = [[line.partition(": ")[::2] for line in block if not line.startswith(":")] for block in blocks]
    return [dict(fields) for fields in lines if fields]


async def test_records_have_their_number_and_progress_has_none(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    record = {"seq": 5, "event": "file.moved", "path": "/m/new\nline \udcff"}
    backend.told = [Notice(5, record), Notice(hashing=[{"path": "/m/a"}]), Notice()]
    answer = await client.get("/api/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, told, progress = events_of(answer.text)
    assert first == {"retry": "2000"}
    assert (told["id"], json.loads(told["data"]), "event" in told) == ("5", record, False)
    assert (progress["event"], json.loads(progress["data"])) == ("hashing", {"active": [{"path": "/m/a"}]})
    assert answer.text.endswith(": ping\n\n")


@pytest.mark.parametrize(
    ("query", "headers", "after"),
    [
        ("", {}, None),
        ("?after=7", {}, 7),
        ("?after=7", {"Last-Event-ID": "9"}, 9),
        ("", {"Last-Event-ID": "0"}, 0),
        ("", {"Last-Event-ID": ""}, None),
    ],
)
async def test_whoever_comes_back_says_what_he_knows(
    client: httpx.AsyncClient, backend: "FakeBackend", query: str, headers: dict[str, str], after: int | None
) -> None:
    assert (await client.get(f"/api/events{query}", headers=headers)).status_code == 200
    assert backend.asked == [("notices", after)]


@pytest.mark.parametrize("number", ["x", "-1", "1e3", str(2**63)])
async def test_a_number_that_no_record_has_is_refused(client: httpx.AsyncClient, number: str) -> None:
    assert (await client.get("/api/events", headers={"Last-Event-ID": number})).status_code == 422
    assert (await client.get("/api/events", params={"after": number})).status_code == 422


async def test_one_too_many_is_told_and_a_journal_that_cannot_be_read_ends_the_stream(
    client: httpx.AsyncClient, backend: "FakeBackend"
) -> None:
    backend.told = [Notice(1, {"seq": 1}), JournalError("s")]
    assert [event.get("id") for event in events_of((await client.get("/api/events")).text)] == [None, "1"]
    backend.error = Overloaded("s")
    assert (await client.get("/api/events")).status_code == 503
