"""Whatever happens to files and daemon: the catalogue says what lies on disk, and nothing known is lost."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.daemon_process import DaemonProcess
from tests.integration.daemon_in_thread import DaemonInThread
from tests.integration.tree_machine import TABLES, TreeMachine

from modelkeep import service

ALWAYS = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    # A failing example takes seconds and time is part of it: it is shown as it is rather than made smaller.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def machine(folder: Path, kind: type[TreeMachine]) -> type[TreeMachine]:
    """Return a machine that works below a folder."""
    numbers = itertools.count(1)

    class Below(kind):  # type: ignore[valid-type, misc]
        @staticmethod
        def make_folder() -> Path:
            made = folder / f"{next(numbers)}"
            made.mkdir()
            return made

    return Below


class InThread(TreeMachine):
    @staticmethod
    def make_daemon(folder: Path, roots: list[Path]) -> DaemonProcess:
        return DaemonInThread(folder, roots, TABLES)


def test_the_catalogue_tells_the_truth_whatever_happens_to_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LOOK_AT_ROOTS_SECONDS", 0.2)
    run_state_machine_as_test(
        machine(tmp_path, InThread), settings=settings(ALWAYS, max_examples=6, stateful_step_count=40)
    )
