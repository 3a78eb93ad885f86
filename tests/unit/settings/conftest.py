"""A user of his own for each test: nothing of the machine's configuration is seen."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

WriteFile = Callable[[str], Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder, which is the current one too."""
    for name in list(os.environ):
        if name.upper().startswith(("MODELKEEP_", "XDG_")) or name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(home: Path) -> WriteFile:
    """Return a writer of the user's configuration file; it returns the file's path."""

    def writer(text: str) -> Path:
        path = home / ".config" / "modelkeep" / "modelkeep.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return writer
