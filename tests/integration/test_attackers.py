"""Whoever may not call gets nothing done and learns nothing, call by call as the daemon itself describes them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.integration.conftest import DaemonMaker
from tests.integration.daemon_under import as_nobody
from tests.integration.kept import dump
from tests.libraries import put, safetensors, snapshot
from tests.programs import needs

SECRET = "root:secret:0:0"

STRANGERS = [
    {"Host": "evil.example"},
    {"Host": "evil.example:80", "Origin": "http://evil.example:80", "Sec-Fetch-Site": "same-origin"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "localhost:1"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9"},
    {"Origin": "https://127.0.0.1"},
]
"""A page that has its name resolved to this machine, and pages that send what browsers let them send."""

SIMPLE_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]

NAMES = [
    "../../modelkeep.db",
    "..%2f..%2fmodelkeep.db",
    "..%252f..%252fmodelkeep.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..\\..\\modelkeep.db",
    "{hash}_0.webp%00.png",
    "{hash}_0_high.webp",
    "{hash}_0.webp/../../../modelkeep.db",
    "link.webp",
    "1%00",
    "%c0%ae%c0%ae/",
    ".staging",
    "pending/link.png",
    "*",
]

Call = tuple[str, str, list[dict[str, Any]]]


@pytest.fixture
def kept(tmp_path: Path, models: Path, daemon: DaemonProcess) -> str:
    """The hash of a model with an image, among whose files somebody has put links to a secret."""
    sha256 = daemon.wait_model(put(models / "hero.safetensors", safetensors("hero")))
    form: dict[str, Any] = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(1, (24, 16)))}}
    assert daemon.request("POST", "/api/images/upload", **form).is_success
    put(tmp_path / "secret", SECRET.encode())
    for name in ("link.webp", f"{sha256}_7_high.webp", "pending/1.png", "pending/link.png"):
        (daemon.data_dir / "images" / name).symlink_to(tmp_path / "secret")
    daemon.wait_idle()
    return sha256


@pytest.fixture
def stranger(daemon: DaemonProcess) -> Iterator[httpx.Client]:
    """Another program of this machine, on TCP."""
    with httpx.Client(base_url=daemon.url, timeout=60, verify=False) as client:
        yield client


def state_of(daemon: DaemonProcess) -> object:
    return dump(daemon.data_dir), snapshot(daemon.data_dir / "images")


def calls(daemon: DaemonProcess) -> list[Call]:
    """Return every call that there is: method, path and parameters."""
    document = daemon.get("/openapi.json")
    return [
        (method.upper(), path, call.get("parameters", []))
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]


def test_no_call_does_anything_for_a_page_of_elsewhere(
    kept: str, daemon: DaemonProcess, stranger: httpx.Client
) -> None:
    before, asked = state_of(daemon), 0
    for method, template, _ in calls(daemon):
        path = template.replace("{sha256}", kept).replace("{id}", "1").replace("{pending_id}", "1")
        for headers in STRANGERS:
            answer = stranger.request(method, path, json={"newtags": ["x"], "name": "x"}, headers=headers)
            assert (answer.status_code, list(answer.json())) == (403, ["error"]), (method, path, headers)
            assert "access-control-allow-origin" not in answer.headers
        asked += len(STRANGERS)
        crossing = {"Sec-Fetch-Site": "cross-site"}
        if method != "GET" or path in ("/api/scan", "/api/events"):
            assert stranger.request(method, path, headers=crossing).status_code == 403
        if method == "GET":
            continue
        for kind in SIMPLE_TYPES:
            answer = stranger.request(method, path, content=b'{"newtags": ["x"]}', headers={"Content-Type": kind})
            assert 400 <= answer.status_code < 500, (method, path, kind)
    assert asked > 250
    assert state_of(daemon) == before


RIDERS: list[tuple[dict[str, str], set[int]]] = [
    ({}, {401}),
    ({"Referer": "http://127.0.0.1:9/"}, {401}),
    ({"Sec-Fetch-Site": "none"}, {401}),
    ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, {401, 403}),
    ({"Origin": "http://127.0.0.1:8188"}, {401}),
    ({"Origin": "http://localhost:9"}, {403}),
]
"""What a page of another port of this machine, one allowed and others, may have a browser send with its cookies."""


def test_no_call_changes_anything_for_a_page_that_rides_on_the_session_of_ours(
    models: Path, make_daemon: DaemonMaker
) -> None:
    access = {"token": "s3cret", "allowed_origins": ["http://127.0.0.1:8188"]}
    daemon = make_daemon(tables={"api": access}).start()
    before = state_of(daemon)
    with httpx.Client(base_url=daemon.url, timeout=60) as browser:
        form = {"token": "s3cret", "next": "/queue"}
        signed_in = browser.post("/login", data=form, headers={"Origin": daemon.url}, follow_redirects=True)
        assert (signed_in.status_code, signed_in.url.path) == (200, "/queue")
        assert browser.get("/api/status").is_success
        for method, template, _ in calls(daemon):
            path = template.replace("{sha256}", "a" * 64).replace("{id}", "1").replace("{pending_id}", "1")
            if method == "GET" and path not in ("/api/scan", "/api/events"):
                continue
            for headers, refused in RIDERS:
                answer = browser.request(method, path, json={"newtags": ["x"], "name": "x"}, headers=headers)
                assert answer.status_code in refused, (method, path, headers)
        assert state_of(daemon) == before
        made = browser.post("/api/tags_add", json={"newtags": ["x"]}, headers={"X-Modelkeep-Page": "1"})
        assert made.is_success


def test_no_name_leads_to_a_file_that_it_does_not_name(
    kept: str, daemon: DaemonProcess, stranger: httpx.Client
) -> None:
    before = state_of(daemon)
    for method, template, parameters in calls(daemon):
        if template in ("/api/events", "/api/scan"):
            continue
        for parameter in parameters:
            for text in NAMES:
                name = text.replace("{hash}", kept)
                path, query = template, {}
                if parameter["in"] == "path":
                    path = template.replace(f"{{{parameter['name']}}}", name)
                elif parameter["in"] == "query":
                    query = {"sha256": kept, "seq": "7"} | {parameter["name"]: name}
                answer = stranger.request(method, path, params=query)
                assert answer.status_code < 500, (method, path, query)
                assert SECRET not in answer.text, (method, path, query)
                assert b"SQLite format" not in answer.content, (method, path, query)
                assert method == "GET" or answer.is_client_error, (method, path, query)
    # Links that bear the name of an image are no images.
    for name in (f"{kept}_7.webp", "pending/1", "pending/1.png"):
        assert stranger.get(f"/api/images/{quote(name)}").status_code == 404
    assert state_of(daemon) == before


@needs("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_another_user_of_this_machine_does_not_get_through_the_socket(make_daemon: DaemonMaker) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the mode of the socket itself has to do
        path = Path(folder) / "mk.sock"
        daemon = make_daemon(tables={"api": {"socket": str(path)}})
        daemon.socket = path
        daemon.start()
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        # That this user may read everything has him start a Python of ours; it opens no socket to him.
        stranger = [*as_nobody("dac_read_search"), sys.executable, "-I", "-c", connect]
        tried = subprocess.run(stranger, capture_output=True, text=True)
        assert "PermissionError" in tried.stderr
        assert daemon.status()["state"] == "running"
        daemon.stop()
