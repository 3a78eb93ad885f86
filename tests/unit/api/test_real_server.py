"""The guarded application behind real sockets: one TCP port, one unix socket, as the daemon serves it."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from modelkeep.api.access import JSON_BYTES_MAX, AccessRules, Transport
from modelkeep.api.app import create_app, guarded

if TYPE_CHECKING:
    from tests.unit.api.conftest import FakeBackend

PAGE = "http://127.0.0.1:8188"


@dataclass
class Served:
    port: int
    path: Path

    def on_tcp(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def on_unix(self) -> httpx.Client:
        return httpx.Client(
            base_url="http://modelkeep", transport=httpx.HTTPTransport(uds=str(self.path)), timeout=60
        )

    def raw(self, request: bytes) -> bytes:
        """Return what is answered to these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


def servers(backend: "FakeBackend", rules: AccessRules, ways: dict[Transport, socket.socket]) -> list[uvicorn.Server]:
    app = create_app(backend, rules, version="1.2.3")
    return [
        uvicorn.Server(uvicorn.Config(guarded(app, rules, way), lifespan="off", log_config=None, proxy_headers=False))
        for way in ways
    ]


@pytest.fixture(params=["", "s3cret"], ids=["without a token", "with a token"])
def served(request: pytest.FixtureRequest, backend: "FakeBackend", tmp_path: Path) -> Iterator[Served]:
    """Serve until the test is over; the thread ends with the servers."""
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = tmp_path / "modelkeep.sock"
    unix.bind(str(path))
    unix.listen()
    ways = {Transport.TCP: tcp, Transport.UNIX: unix}
    running = servers(backend, AccessRules(token=request.param, allowed_origins=(PAGE,)), ways)

    async def serve() -> None:
        await asyncio.gather(
            *(server.serve(sockets=[way]) for server, way in zip(running, ways.values(), strict=True))
        )

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield Served(tcp.getsockname()[1], path)
    finally:
        for server in running:
            server.should_exit = True
        thread.join(timeout=60)
        tcp.close()
        unix.close()
    assert not thread.is_alive()


@pytest.fixture
def has_token(request: pytest.FixtureRequest) -> bool:
    return "with a token" in request.node.callspec.id


def test_the_unix_socket_always_answers_its_owner(served: Served) -> None:
    with served.on_unix() as client:
        assert client.get("/api/status").json()["state"] == "running"
        assert client.post("/api/models/sha256", json={"path": "/x"}).json() == {"sha256": "a" * 64}


def test_tcp_answers_this_machine_unless_a_token_is_missing(served: Served, has_token: bool) -> None:
    with served.on_tcp() as client:
        assert client.get("/api/status").status_code == (401 if has_token else 200)
        assert client.get("/api/status", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_the_port_of_the_connection_is_the_one_that_counts(served: Served) -> None:
    own = {"Authorization": "Bearer s3cret", "Origin": f"http://localhost:{served.port}"}
    other = {"Authorization": "Bearer s3cret", "Origin": f"http://localhost:{served.port + 1}"}
    with served.on_tcp() as client:
        assert client.post("/api/scan", headers=own).status_code == 200
        assert client.post("/api/scan", headers=other).status_code == 403
        assert client.get("/api/status", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("head", [b"", b"Host: evil.example\r\n", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"])
def test_a_host_that_is_missing_foreign_or_double_is_refused(served: Served, head: bytes) -> None:
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        answer = served.raw(b"POST /api/scan " + version + b"\r\n" + head + b"Connection: close\r\n\r\n")
        assert answer.split()[1].startswith(b"4")


@pytest.mark.parametrize(
    "target", [b"/api/models/..%2f..%2fetc%2fpasswd", b"/../../etc/passwd", b"http://evil/api/x"]
)
def test_a_path_out_of_the_tree_leads_nowhere(served: Served, target: bytes) -> None:
    head = b"Host: 127.0.0.1\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\n\r\n"
    answer = served.raw(b"GET " + target + b" HTTP/1.1\r\n" + head)
    assert answer.split()[1] == b"404"
    assert b"root:" not in answer


def test_a_body_without_a_length_is_cut_off_while_it_comes(served: Served, backend: "FakeBackend") -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"path": "'
        for _ in range(4096):
            yield b"x" * 65536

    headers = {"Content-Type": "application/json"}
    with served.on_unix() as client:
        try:
            answer = client.post("/api/models/sha256", content=endless(), headers=headers)
        except httpx.WriteError:
            pass  # it had hung up before the client was done
        else:
            assert answer.status_code == 413
        assert client.get("/api/status").status_code == 200
    assert backend.changes == []


@pytest.mark.parametrize("length", [JSON_BYTES_MAX + 1, 3 * JSON_BYTES_MAX])
def test_a_program_that_listens_only_when_it_has_sent_all_learns_that_it_was_too_much(
    served: Served, backend: "FakeBackend", length: int
) -> None:
    head = b"POST /api/models/sha256 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer s3cret\r\n"
    head += b"Content-Type: application/json\r\nConnection: close\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n" % length + b"x" * length
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % length + b"x" * length + b"\r\n0\r\n\r\n"
    for request in (sized, chunked):
        answer = served.raw(request)
        assert answer.split()[1] == b"413"
        assert b"The body is larger than 1,048,576 bytes." in answer
    assert backend.changes == []


def test_an_import_streams_its_lines(served: Served, backend: "FakeBackend") -> None:
    backend.stream = [{"progress": {"phase": "reading", "done": 0, "total": 1}}, {"report": {"rows": 1}}]
    with (
        served.on_unix() as client,
        client.stream("POST", "/api/import", json={"kind": "hikaze", "source": "/x"}) as answer,
    ):
        assert [json.loads(line) for line in answer.iter_lines()] == backend.stream


def test_a_caller_who_leaves_in_the_middle_stops_nothing(
    served: Served, backend: "FakeBackend", caplog: pytest.LogCaptureFixture
) -> None:
    backend.stream = [{"progress": {"phase": "x" * 65536, "done": 0, "total": 1}}] * 2000
    with served.on_unix() as client:
        with client.stream("POST", "/api/import", json={"kind": "hikaze", "source": "/x"}) as answer:
            next(answer.iter_bytes())
        assert client.get("/api/status").status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_head_is_answered_as_get_without_a_body(served: Served) -> None:
    with served.on_unix() as client:
        for path in ("/healthz", "/api/models", "/api/nothing", "/docs"):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
        assert client.head("/api/events").headers["content-type"].startswith("text/event-stream"), "it ends"
        assert client.head("/api/tags_add").status_code == 405
