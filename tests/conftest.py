"""What all tests share."""

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

# Every process that a test starts would compile the whole program anew, which takes it a third of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


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


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_printable(inner) for inner in value)
    return value
