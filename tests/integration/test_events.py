"""What happens is told as it happens, to readers fast, slow, gone and back; none of them holds the daemon up."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from tests.daemon_process import DaemonProcess
from tests.libraries import put, safetensors
from tests.waiting import wait_until

from modelkeep.service.listening import LISTENERS_MAX


def listen(daemon: DaemonProcess, known: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records that a browser would be told, which comes back with the number of the last one it knows."""
    headers = {} if known is None else {"Last-Event-ID": str(known)}
    transport = httpx.HTTPTransport(uds=str(daemon.socket))
    with (
        httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as client,
        client.stream("GET", "/api/events", headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        number = ""
        for line in answer.iter_lines():
            if line.startswith("data: ") and '"seq":' in line:
                yield json.loads(line.removeprefix("data: "))
            elif line.startswith("id: "):
                number = line
        assert number


def test_readers_fast_slow_gone_and_back(models: Path, daemon: DaemonProcess) -> None:
    with ThreadPoolExecutor(1) as reader, socket.socket(socket.AF_UNIX) as sluggard:
        told = reader.submit(lambda: list(listen(daemon, 0)))
        sluggard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sluggard.connect(str(daemon.socket))
        sluggard.sendall(b"GET /api/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for number in range(60):
            put(models / f"{number} {'x' * 180}.safetensors", safetensors(number))
        some = [record["seq"] for record, _ in zip(listen(daemon, 0), range(25), strict=False)]
        more = [record["seq"] for record, _ in zip(listen(daemon, some[-1]), range(25), strict=False)]
        assert [*some, *more] == list(range(1, 51))
        wait_until(lambda: daemon.status()["models"] == 60, 60, "all files to be models")
        # Those who have gone hold no place any more: there are fewer than come now.
        assert [next(listen(daemon, 0))["seq"] for _ in range(LISTENERS_MAX + 4)] == [1] * (LISTENERS_MAX + 4)
        known = [{key: record[key] for key in record if key != "crc"} for record in daemon.journal()]
        daemon.stop()
        heard = told.result(20)
    assert [record["seq"] for record in heard] == list(range(1, len(heard) + 1))
    assert heard[: len(known)] == known[: len(heard)]
    assert len(heard) >= 60
