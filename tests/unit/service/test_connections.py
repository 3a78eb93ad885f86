"""Callers who say nothing, byte by byte, or take nothing are cut off, and the others are answered all the while."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send
from tests.waiting import wait_until_async

from modelkeep.service.connections import Connection, Patience

LARGE_BYTES = 1 << 25


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer little, or much, at once or after longer than anybody may take to ask."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5 * Impatient.patience.asking_seconds)
    body = b"x" * LARGE_BYTES if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Impatient(Connection):
    patience = Patience(asking_seconds=2.0, taking_seconds=0.5, look_seconds=0.1, connections_max=5)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, uvicorn.Server]]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Impatient, lifespan="off", log_config=None, ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await wait_until_async(lambda: server.started)
    try:
        yield listening.getsockname()[1], server
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def said(port: int, request: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which this was said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Wait until the other side hangs up; returns what it said before."""
    answer = b""
    with suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(1 << 16), 30):
            answer += piece
    return answer


async def get(port: int, path: str = "/") -> int:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        return (await client.get(path)).status_code


async def _dribble(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.1)


async def test_who_says_nothing_or_does_not_come_to_the_point_is_cut_off_and_others_are_answered() -> None:
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        serving() as (port, _),
        said(port, b"") as silent,
        said(port, b"GET / HTTP/1.1\r\nHost:") as slow,
        said(port, whole + b"GET / HTT") as once,
    ):
        dribbling = asyncio.create_task(_dribble(slow[1]))
        slowly_answered = asyncio.create_task(get(port, "/slow"))
        heard = [await until_closed(reader) for reader, _ in (silent, slow, once)]
        dribbling.cancel()
        assert (heard[:2], b"ok" in heard[2]) == ([b"", b""], True)
        assert (await slowly_answered, await get(port)) == (200, 200)


async def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    async with serving() as (port, server):
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(30)
            await asyncio.to_thread(lazy.connect, ("127.0.0.1", port))
            lazy.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await wait_until_async(lambda: server.server_state.total_requests == 1)
            await wait_until_async(lambda: not server.server_state.connections)
            assert await asyncio.to_thread(_taken, lazy) < LARGE_BYTES


def _taken(connection: socket.socket) -> int:
    taken = 0
    with suppress(ConnectionError):
        while piece := connection.recv(1 << 20):
            taken += len(piece)
    return taken


async def test_one_too_many_is_hung_up_on_until_there_is_room() -> None:
    async with serving() as (port, server):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(Impatient.patience.connections_max)]
        await wait_until_async(lambda: len(server.server_state.connections) == len(held))
        async with said(port, b"") as (reader, _):
            assert await until_closed(reader) == b""
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await wait_until_async(lambda: not server.server_state.connections)
        assert await get(port) == 200
