"""Two names that change places in one step, which no rename does."""

import ctypes
import os
from pathlib import Path

import pytest

_AT_FDCWD, _EXCHANGE = -100, 2


def exchange(one: Path, other: Path) -> None:
    """Let two names change places (renameat2(2), RENAME_EXCHANGE); skips where that cannot be done."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        pytest.skip("the C library has no renameat2")
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        pytest.skip(f"names cannot be exchanged here: {os.strerror(ctypes.get_errno())}")
