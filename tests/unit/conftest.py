"""Files, processes and rights that unit tests share."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from tests.fakes import HOLD_OPEN, HoldsOpen, let_go, without_rights

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.walk import Listing, walk
from modelkeep.watch import scans


@pytest.fixture(autouse=True, scope="session")
def ignored_sigio() -> Iterator[None]:
    """A lease that is broken in the instant in which it is asked for sends SIGIO, whose default is to end us."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture(scope="session")
def hatch_build() -> ModuleType:
    """What builds the libraries at an install."""
    path = Path(__file__).parents[2] / "hatch_build.py"
    spec = importlib.util.spec_from_file_location("hatch_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fresh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a catalogue that nobody has used yet."""
    path = tmp_path_factory.mktemp("fresh") / "modelkeep.db"
    Catalogue.open(path).close()
    return path


@pytest.fixture
def hold_open() -> Iterator[HoldsOpen]:
    """Start processes that hold a file open in a mode (`r`, `ab`, …) until their standard input is closed."""
    started: list[subprocess.Popen[bytes]] = []

    def hold(path: Path, mode: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", HOLD_OPEN, os.fsencode(path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        return process

    yield hold
    for process in started:
        let_go(process)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter as well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def walks_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans run as a user to whom nothing belongs."""

    def walk_so(folder: str, extensions: Sequence[str], root: str | None) -> Listing:
        with without_rights():
            return walk(folder, extensions, root)

    monkeypatch.setattr(scans, "walk", walk_so)
