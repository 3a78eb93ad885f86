"""The program as a process: what reaches a terminal and what reaches a pipe, and how it ends."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def program(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "modelkeep", "--config", str(config), *arguments]


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: its own end and the program's."""
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(descriptor: int, wanted: str, seconds: float = 60.0) -> str:
    """Return what appeared on a terminal up to a text."""
    deadline = time.monotonic() + seconds
    shown = b""
    while wanted.encode() not in shown:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, shown.decode("utf-8", "replace")
        shown += os.read(descriptor, 65536)
    return shown.decode("utf-8", "replace")  # the last character may still be on its way


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_watching_on_a_terminal_draws_bars_until_it_is_interrupted(config: Path, daemon: Any) -> None:
    with (
        terminal() as (ours, theirs),
        started(program(config, "status", "--watch"), stdout=theirs, stderr=subprocess.PIPE) as process,
    ):
        first = read_until(ours, "watching")
        daemon.answers["GET", "/api/status"][1]["models"] = 77_777
        read_until(ours, "77,777 models")
        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert "━" in first
    assert "\x1b[" in first


def test_watching_through_a_pipe_writes_a_line_for_each_change(config: Path, daemon: Any) -> None:
    status = daemon.answers["GET", "/api/status"][1]
    with started(program(config, "status", "--watch"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        status["models"] = 77_777
        second = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130

    assert first == "running: 1,204 models, 5 waiting, hashing 1 at 1.5 GB/s, 2 conflict, 1 failed\n"
    assert second.startswith("running: 77,777 models")


def test_progress_on_a_terminal_leaves_standard_output_to_the_json(
    config: Path, tmp_path: Path, make_legacy: Callable[[Path, list[str]], Path]
) -> None:
    legacy = make_legacy(tmp_path / "old.sqlite3", ["/gone/a.ckpt"])
    with terminal() as (ours, theirs):
        command = program(config, "import", "hikaze", str(legacy), "--json")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60, check=True)
        shown = read_until(ours, "writing")

    assert json.loads(done.stdout)["pending"] == 1
    assert "reading the source" in shown


def test_the_daemon_tells_where_it_is_and_stops_when_asked(config: Path) -> None:
    with started(program(config, "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        told = ""
        while "next: " not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        status = subprocess.run(program(config, "status", "--json"), capture_output=True, timeout=60, check=True)
        busy = subprocess.run(program(config, "run"), capture_output=True, text=True, timeout=60)
        process.terminate()
        written, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert written == ""
    for fact in (str(config), str(config.parent / "data"), str(config.parent / "models"), "http://127.0.0.1:"):
        assert fact in told
    assert json.loads(status.stdout)["state"] in ("starting", "running")
    assert busy.returncode == 1
    assert f"process {process.pid}" in busy.stderr
    assert "Traceback" not in busy.stderr


@pytest.mark.parametrize("arguments", [["status"], ["models", "list"], ["pending", "list"], ["journal"]])
def test_names_reach_a_terminal_that_knows_only_ascii(config: Path, arguments: list[str], daemon: Any) -> None:
    model = {
        "sha256": "a" * 64,
        "name": "水彩\udcff",
        "path": "/m/a.pt",
        "type": "",
        "size_bytes": 1,
        "images_count": 0,
        "tags": [],
    }
    daemon.answer("GET", "/api/models", {"models": [model]})
    daemon.answer("GET", "/api/pending", {"pending": []})
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(program(config, *arguments), capture_output=True, env=environment, timeout=60, check=True)

    assert done.stdout.isascii()
    assert (b"\\u6c34\\u5f69\\xff" in done.stdout) == (arguments[0] == "models")
