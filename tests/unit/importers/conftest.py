"""Legacy sources to read, and the proof that reading left them alone."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"

TABLES = """
CREATE TABLE models (
  id INTEGER PRIMARY KEY, path, name, type, size_bytes, hash_hex, created_at, meta_json, extra_json
);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name, color, created_at);
CREATE TABLE model_tags (model_id, tag_id);
"""


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample library: the folder that holds `data/` and `models/`."""
    folder = tmp_path / "hikaze-v1"
    shutil.copytree(SAMPLES / "hikaze-v1", folder)
    age(folder)
    return folder


@pytest.fixture
def make_database(tmp_path: Path) -> Callable[..., Path]:
    """Makes a database out of rows (columns by name) and tags (values of a row, and the ids of its models)."""

    def make(
        rows: Sequence[Mapping[str, Any]] = (),
        tags: Sequence[tuple[Sequence[Any], Sequence[int]]] = (),
        *,
        tables: str = TABLES,
        name: str = "data/hikaze_mm.sqlite3",
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript(tables)
        for number, row in enumerate(rows, start=1):
            values = {"id": number, "path": f"/models/{number}.safetensors", "hash_hex": "", **row}
            marks = ", ".join("?" for _ in values)
            connection.execute(f"INSERT INTO models ({', '.join(values)}) VALUES ({marks})", list(values.values()))
        for tag, model_ids in tags:
            connection.execute(f"INSERT INTO tags VALUES ({', '.join('?' for _ in tag)})", list(tag))
            connection.executemany("INSERT INTO model_tags VALUES (?, ?)", [(each, tag[0]) for each in model_ids])
        connection.commit()
        connection.close()
        age(path.parent)
        return path

    return make


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, tuple[Any, ...]]]:
    """Takes down everything about a folder that reading it must not change."""

    def take(folder: Path) -> dict[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for path in (folder, *folder.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content)
        return found

    return take


def age(folder: Path) -> None:
    """Date everything back: a file that was written this moment is read only after a pause."""
    then = time.time() - 60
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
