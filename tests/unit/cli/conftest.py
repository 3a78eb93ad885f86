"""A command line under test, and a real HTTP server on a real unix socket in the daemon's place."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from typer.testing import CliRunner, Result

from modelkeep.api.responses import Json

Document = dict[str, Any]
Cli = Callable[..., Result]

STATUS: Document = {
    "state": "running",
    "version": "0.1.0",
    "pid": 4321,
    "uptime_s": 7500.0,
    "paused": False,
    "models": 1204,
    "images": 80,
    "tags": 9,
    "locations": {"present": 1200, "missing": 3, "unreachable": 1},
    "pending": {"waiting": 5, "hashing": 1, "conflict": 2, "failed": 1, "missing": 0},
    "hashing": {
        "active": [
            {
                "path": "/srv/models/checkpoints/big.safetensors",
                "bytes_done": 3_000_000_000,
                "bytes_total": 6_000_000_000,
                "bytes_per_s": 1_500_000_000,
            }
        ],
        "queued": 4,
        "queued_bytes": 27_000_000_000,
        "workers": 2,
        "implementation": "hashlib",
    },
    "watch": {"roots": [{"path": "/srv/models", "state": "watching", "directories": 12}], "overflows": 0},
    "journal": {"seq": 512, "segments": 1, "bytes": 200_000},
}


@dataclass
class FakeDaemon:
    """Answers what it was told to answer and remembers what it was asked."""

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last request."""

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        """Set an answer: a JSON document, bytes as they are, or a list of documents that is sent as JSON Lines."""
        self.answers[method, path] = (status, body)

    async def respond(self, request: Request) -> Response:
        body = await request.body()
        query = dict(request.query_params)
        self.headers = dict(request.headers)
        self.asked.append((request.method, request.url.path, json.loads(body) if body else query))
        status, answer = self.answers.get((request.method, request.url.path), (404, {"error": "no such thing"}))
        if isinstance(answer, bytes):
            return Response(answer, status, media_type="application/octet-stream")
        if isinstance(answer, list):
            lines = (json.dumps(value) + "\n" for value in answer)
            return StreamingResponse(lines, status, media_type="application/x-ndjson")
        return Json(answer(query) if callable(answer) else answer, status)


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in (
        "MODELKEEP_CONFIG",
        "MODELKEEP_DEV",
        "STATE_DIRECTORY",
        "RUNTIME_DIRECTORY",
        "COLUMNS",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / ".local" / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "home").mkdir()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with one root and its own data folder."""
    (tmp_path / "models").mkdir()
    path = tmp_path / "modelkeep.toml"
    path.write_text('data_dir = "data"\n[[roots]]\npath = "models"\n[api]\nport = 0\nsocket = "s"\n')
    return path


@pytest.fixture
def cli(config: Path) -> Cli:
    """Call the command line in this process, with that configuration."""
    from modelkeep.cli.app import app

    def call(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, ["--config", str(config), *arguments], **options)

    return call


@pytest.fixture
def daemon(config: Path) -> Iterator[FakeDaemon]:
    """A server on the socket that the configuration names."""
    fake = FakeDaemon()
    fake.answer("GET", "/api/status", deepcopy(STATUS))
    fake.answer("GET", "/api/address", {"url": "http://0.0.0.0:8189"})
    routes = [Route("/{path:path}", fake.respond, methods=["GET", "POST", "DELETE", "PATCH"])]
    options = uvicorn.Config(
        Starlette(routes=routes), uds=str(config.parent / "s"), log_config=None, lifespan="off", ws="none"
    )
    server = _Announced(options)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.is_up.wait(60)
    yield fake
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def make_legacy() -> Callable[[Path, list[str]], Path]:
    """Write a legacy database that knows some paths."""
    return _write_legacy


def _write_legacy(database: Path, paths: list[str]) -> Path:
    database.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(database) as connection:
        connection.executescript(
            "CREATE TABLE schema_version(version INTEGER); INSERT INTO schema_version VALUES (2);"
            "CREATE TABLE models(id INTEGER PRIMARY KEY, path TEXT UNIQUE, name TEXT, type TEXT, size_bytes INTEGER,"
            " hash_hex TEXT NOT NULL DEFAULT '', created_at INTEGER, meta_json TEXT, extra_json TEXT);"
            "CREATE TABLE tags(id INTEGER PRIMARY KEY, name TEXT UNIQUE, color TEXT, created_at INTEGER);"
            "CREATE TABLE model_tags(model_id INTEGER, tag_id INTEGER);"
            "CREATE TABLE directories(id INTEGER PRIMARY KEY, path TEXT, alias TEXT, parent_id INTEGER);"
        )
        rows = [(path, path.replace("\\", "/").rsplit("/", 1)[-1]) for path in paths]
        connection.executemany("INSERT INTO models(path, name, type) VALUES (?, ?, 'loras')", rows)
    connection.close()
    return database


class _Announced(uvicorn.Server):
    """A server that can be waited for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()
