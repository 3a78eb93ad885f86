"""The guard around the application: what it refuses never reaches the backend."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest

from modelkeep.api import guard
from modelkeep.api.access import AccessRules, Transport

if TYPE_CHECKING:
    from tests.unit.api.conftest import ClientMaker, FakeBackend

PAGE = "http://127.0.0.1:8188"
TOKEN = AccessRules(token="s3cret", allowed_origins=(PAGE,), own_names=())
JSON = {"Content-Type": "application/json"}
HASH = {"path": "/srv/models/x.ckpt"}


async def test_another_machine_is_refused(make_client: "ClientMaker", backend: "FakeBackend") -> None:
    async with make_client(caller="192.168.1.7") as client:
        answer = await client.post("/api/scan")
    assert answer.status_code == 403
    assert set(answer.json()) == {"error"}
    assert backend.changes == []


async def test_the_token_opens_tcp_and_the_unix_socket_needs_none(make_client: "ClientMaker") -> None:
    async with make_client(TOKEN, caller="192.168.1.7") as client:
        refused = await client.get("/api/status")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.get("/api/status", headers={"Authorization": "Bearer s3cret"})).status_code == 200
    async with make_client(TOKEN, Transport.UNIX) as client:
        assert (await client.get("/api/status", headers={"Host": "modelkeep"})).status_code == 200


async def test_the_documentation_asks_for_the_token_when_there_is_one(make_client: "ClientMaker") -> None:
    async with make_client(TOKEN, Transport.UNIX) as client:
        document = (await client.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}


async def test_an_allowed_page_may_read_answers_and_errors(make_client: "ClientMaker") -> None:
    async with make_client() as client:
        for path in ("/api/status", "/api/nothing"):
            answer = await client.get(path, headers={"Origin": PAGE})
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "Origin" in answer.headers["vary"]
    async with make_client(TOKEN) as client:
        answer = await client.get("/api/status", headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, PAGE)


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:8189"])
async def test_no_other_page_is_let_in_on_answers(make_client: "ClientMaker", origin: str | None) -> None:
    async with make_client() as client:
        for method in ("GET", "OPTIONS"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"} if origin else {}
            answer = await client.request(method, "/api/status", headers=headers)
            assert "access-control-allow-origin" not in answer.headers
            assert answer.is_success or set(answer.json()) == {"error"}


@pytest.mark.parametrize("rules", [None, TOKEN])
async def test_a_preflight_of_an_allowed_page_needs_no_token(
    make_client: "ClientMaker", backend: "FakeBackend", rules: AccessRules | None
) -> None:
    headers = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    async with make_client(rules) as client:
        answer = await client.options("/api/scan", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert backend.changes == []


async def test_a_preflight_for_a_method_that_nobody_knows_is_refused(make_client: "ClientMaker") -> None:
    async with make_client() as client:
        headers = {"Origin": PAGE, "Access-Control-Request-Method": "BREW"}
        answer = await client.options("/api/scan", headers=headers)
    assert (answer.status_code, set(answer.json())) == (403, {"error"})


async def pieces(total_bytes: int) -> AsyncIterator[bytes]:
    yield b'{"path": "'
    for _ in range(total_bytes // 65536):
        yield b"x" * 65536
    yield b'"}'


async def test_a_body_that_tells_no_length_is_counted(client: httpx.AsyncClient, backend: "FakeBackend") -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/models/sha256", content=pieces(2 * 1024 * 1024), headers=headers)
    assert answer.status_code == 413
    assert answer.json() == {"error": "The body is larger than 1,048,576 bytes."}
    assert backend.changes == []
    answer = await client.post("/api/models/sha256", content=pieces(512 * 1024), headers=headers)
    assert answer.status_code == 200


async def test_a_body_that_is_cut_off_is_refused_to_an_allowed_page_readably(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Origin": PAGE}
    answer = await client.post("/api/models/sha256", content=pieces(2 * 1024 * 1024), headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (413, PAGE)


async def test_a_body_without_an_end_is_dropped_within_bounds(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    async def endless(head: bytes) -> AsyncIterator[bytes]:
        nonlocal sent
        yield head
        while True:
            sent += 65536
            yield b"x" * 65536

    answer = await client.post("/api/models/sha256", content=endless(b"{"), headers=JSON)
    assert (answer.status_code, sent // 2**20) == (413, 4)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    monkeypatch.setattr(guard, "DRAINED_SECONDS", 0.05)
    headers = {**JSON, "Content-Length": str(2**30)}
    assert (await client.post("/api/models/sha256", content=stuck(), headers=headers)).status_code == 413


async def test_a_body_that_comes_too_slowly_is_cut_off(
    client: httpx.AsyncClient, backend: "FakeBackend", monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dribbling() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
    answer = await client.post("/api/models/sha256", content=dribbling(), headers=JSON)
    assert (answer.status_code, answer.json(), backend.changes) == (408, {"error": "The body comes too slowly."}, [])


async def test_who_asks_before_sending_is_answered_before_sending(client: httpx.AsyncClient) -> None:
    async def unsent() -> AsyncIterator[bytes]:
        raise AssertionError("the body was asked for")
        yield b""

    headers = {**JSON, "Content-Length": str(2**30), "Expect": "100-continue"}
    assert (await client.post("/api/models/sha256", content=unsent(), headers=headers)).status_code == 413


async def test_a_websocket_is_closed(make_client: "ClientMaker", backend: "FakeBackend") -> None:
    from modelkeep.api.app import create_app, guarded

    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        sent.append(message)

    rules = AccessRules()
    guarding = guarded(create_app(backend, rules, version="1"), rules, Transport.TCP)
    await guarding({"type": "websocket", "path": "/api/events", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
