"""What a process has loaded says what its start costs, and what it holds in memory while it is idle."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelkeep.cli import is_run

SERVING = {"sqlalchemy", "fastapi", "starlette", "uvicorn", "watchdog", "apscheduler", "structlog"}
SELDOM = {
    "alembic",
    "mako",
    "PIL",
    "yaml",
    "doctor",
    "dev.demo",
    "dev.hashing_double",
    "importers.registry",
    "importers.reading",
    "rich",
    "pygments",
    "pydantic.v1",
    "click",
    "uvicorn.supervisors",
    "concurrent.futures.process",
    "cli.app",
    "cli.output",
}

OF_COMMANDS = {"rich", "pygments", "cli.app", "cli.output"}

TELL = """\
import atexit, runpy, sys
from modelkeep import cli
names = lambda: {name.removeprefix("modelkeep.") for name, module in sys.modules.items() if module}
def run(run=cli.run):
    atexit.register(lambda: print(*names(), file=sys.stderr))
    run()
cli.run = run
sys.argv = ["modelkeep", *sys.argv[1:]]
runpy.run_module("modelkeep", run_name="__main__", alter_sys=True)
"""
"""Runs the program, and tells at its end what it has loaded."""


def telling(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", TELL, "--config", str(config), *arguments]


def test_a_daemon_with_a_library_of_today_loads_nothing_that_is_seldom_needed(config: Path, fresh_file: Path) -> None:
    data = config.parent / "data"
    data.mkdir(exist_ok=True)
    shutil.copyfile(fresh_file, data / "modelkeep.db")
    with subprocess.Popen(telling(config, "run"), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = ""
        while "ready at" not in told:
            told = process.stderr.readline()
            assert told, "it ended"
        process.send_signal(signal.SIGTERM)
        loaded = set(process.communicate(timeout=60)[1].splitlines()[-1].split())

    assert process.returncode == 0
    assert loaded >= SERVING
    assert not SELDOM & loaded


def test_a_command_that_asks_the_daemon_loads_nothing_that_serves(config: Path, daemon: Any) -> None:
    done = subprocess.run(telling(config, "status"), capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())

    assert "cli.client" in loaded
    assert not (SERVING | SELDOM - OF_COMMANDS) & loaded


@pytest.mark.parametrize(
    ("words", "is_it"),
    [
        ("run", True),
        ("--config f.toml run", True),
        ("--config=f.toml --dev --data-dir d run", True),
        ("", False),
        ("--config run", False),
        ("tags run", False),
        ("--help run", False),
        ("run --help", False),
    ],
)
def test_only_a_command_line_that_means_the_daemon_alone_is_taken_for_one(words: str, is_it: bool) -> None:
    assert is_run(words.split()) is is_it


def test_a_hashing_process_loads_little_besides_what_hashing_needs() -> None:
    program = "import sys, modelkeep.pipeline.hash_worker; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    loaded = {name.removeprefix("modelkeep.") for name in done.stdout.decode().split()}

    assert "pipeline.file_reading" in loaded
    assert not loaded & {
        "hashlib",
        "pathlib",
        "signal",
        "socket",
        "disk.mounts",
        "domain.formats",
        "domain.values",
        "inspect",
    }
