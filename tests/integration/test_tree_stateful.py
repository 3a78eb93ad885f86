"""Whatever happens to files and daemon: the catalogue says what lies on disk, and nothing known is lost."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from tests.daemon_process import DaemonProcess
from tests.integration.daemon_in_thread import DaemonInThread
from tests.integration.tree_machine import TABLES, TreeMachine

from modelkeep.service import upkeep

ALWAYS = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    # A failing example takes seconds and time is part of it: it is shown as it is rather than made smaller.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    stateful_step_count=40,
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


class InProcess(TreeMachine):
    @staticmethod
    def make_daemon(folder: Path, roots: list[Path]) -> DaemonProcess:
        return DaemonProcess(folder, roots, TABLES)

    @precondition(lambda self: self.running)
    @rule()
    def kill(self) -> None:
        """Kill the daemon."""
        self.tell("kill")
        self.daemon.kill()
        self.running = False


@pytest.fixture(autouse=True)
def _roots_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_AT_ROOTS_SECONDS", 0.2)


# The same examples every time: what chance finds is for the soak, where somebody looks at it.
def test_the_catalogue_tells_the_truth_whatever_happens_to_the_tree(tmp_path: Path) -> None:
    run_state_machine_as_test(
        machine(tmp_path, InThread), settings=settings(ALWAYS, max_examples=2, derandomize=True)
    )


def test_the_catalogue_tells_the_truth_though_the_daemon_is_killed(tmp_path: Path) -> None:
    run_state_machine_as_test(
        machine(tmp_path, InProcess), settings=settings(ALWAYS, max_examples=2, derandomize=True)
    )


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", [InThread, InProcess])
def test_the_catalogue_tells_the_truth_whatever_happens_for_long(
    tmp_path: Path, rounds: int, kind: type[TreeMachine]
) -> None:
    run_state_machine_as_test(machine(tmp_path, kind), settings=settings(ALWAYS, max_examples=rounds))
