"""What all tests share."""

import gc
import importlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

# Every process that a test starts would compile the whole program anew, which takes it a third of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Whoever starts the tests in the background may have Ctrl-C ignored, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Properties are checked without a deadline: other work on the machine makes no decision wrong.
settings.register_profile("unhurried", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Collecting makes half a million objects that all stay: looking through them takes a third of its time.
gc.disable()


def pytest_configure() -> None:
    """Refuse to try another modelkeep than this one: what tests start would load it from where PYTHONPATH says."""
    ours = TESTS.parent / "daemon"
    for folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if Path(folder, "modelkeep").exists() and not ours.samefile(folder):
            pytest.exit(f"PYTHONPATH leads to the modelkeep in {folder}, and these tests are of {ours}: unset it", 4)


def pytest_collection_finish() -> None:
    """Look for garbage again, but not in what is there now."""
    gc.freeze()
    gc.enable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Load a share of the modules, if several processes collect all of them.

    What has never been compiled is compiled once then, and not by each of them in the same order at the same time.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    number, all_of_them = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for path in sorted(TESTS.rglob("test_*.py"))[number::all_of_them]:
        name = ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        with suppress(Exception, pytest.skip.Exception):  # collecting it says so, with the reason
            importlib.import_module(name)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests among processes by what they share, see `scheduling.py`."""
    if config.option.dist != "loadscope":
        return None
    from tests.scheduling import Together  # not needed where nothing is shared

    config.option.loadscopereorder = False
    return Together(config, log)


@pytest.fixture
def rounds() -> int:
    """How much a soak test tries at most."""
    return int(os.environ.get("MODELKEEPTEST_ROUNDS", "1000"))


@pytest.fixture
def seed() -> int:
    """What decides what happens in a soak test."""
    return int(os.environ.get("MODELKEEPTEST_SEED", "1"))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Spell out what no UTF-8 can hold: tests are about such names, and a failing one must not end its worker."""
    return _printable((yield))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a line each why tests were skipped, and how many; most name the package that would run them."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        terminalreporter.section("skipped")
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number} {'test' if number == 1 else 'tests'}: {reason}")


def _reason(report: Any) -> str:
    longrepr = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_printable(inner) for inner in value)
    return value
