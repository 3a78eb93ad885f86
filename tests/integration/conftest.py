"""What the integration tests share: a folder of models, and daemons that are always ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from tests.daemon_process import DaemonProcess, Tables
from tests.program_forks import only_by_exec


class DaemonMaker(Protocol):
    """Makes a daemon of its own data folder; the test starts it."""

    def __call__(
        self,
        *roots: Path | tuple[Path, str],
        tables: Tables | None = None,
        name: str = "daemon",
        obeys_rights: bool = False,
    ) -> DaemonProcess: ...


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """An empty folder of models, the root."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def by_exec() -> Iterator[None]:
    """The program is started as everybody starts it."""
    with only_by_exec():
        yield


@pytest.fixture
def make_daemon(tmp_path: Path, models: Path) -> Iterator[DaemonMaker]:
    """Makes daemons; on the folder of models when no root is named. What they say is shown when the test fails."""
    made: list[DaemonProcess] = []

    def make(
        *roots: Path | tuple[Path, str],
        tables: Tables | None = None,
        name: str = "daemon",
        obeys_rights: bool = False,
    ) -> DaemonProcess:
        daemon = DaemonProcess(tmp_path / name, roots or (models,), tables, obeys_rights=obeys_rights)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.close()
        print(f"--- {daemon.folder.name} said:\n{daemon.last_words()}")
    for daemon in made:
        assert not daemon.has_failed_inside(), "the daemon wrote a traceback"


@pytest.fixture
def daemon(make_daemon: DaemonMaker) -> DaemonProcess:
    """A running daemon on the folder of models."""
    return make_daemon().start()
