"""The demo library's legacy database, as Hikaze Model Manager v1 leaves it when it is killed."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_MS = 1_735_689_600_000
"""2025-01-01: the time of the first row; each one after it is a minute younger."""

SCHEMA = """
CREATE TABLE schema_version (
  version INTEGER NOT NULL
);
CREATE TABLE directories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL UNIQUE,
  alias TEXT,
  parent_id INTEGER,
  FOREIGN KEY(parent_id) REFERENCES directories(id)
);
CREATE TABLE models (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL UNIQUE,
  name TEXT,
  type TEXT NOT NULL,
  size_bytes INTEGER,
  hash_hex TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  meta_json TEXT,
  extra_json TEXT
);
CREATE INDEX idx_models_hash ON models(hash_hex);
CREATE INDEX idx_models_type ON models(type);
CREATE INDEX idx_models_path ON models(path);
CREATE TABLE tags (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  color TEXT,
  created_at INTEGER
);
CREATE TABLE model_tags (
  model_id INTEGER NOT NULL,
  tag_id INTEGER NOT NULL,
  PRIMARY KEY (model_id, tag_id),
  FOREIGN KEY(model_id) REFERENCES models(id) ON DELETE CASCADE,
  FOREIGN KEY(tag_id) REFERENCES tags(id) ON DELETE CASCADE
);
INSERT INTO schema_version VALUES (2);
"""


@dataclass(frozen=True, slots=True)
class DemoRow:
    """One row of the legacy database; `tags` are names and colours, a colour may be None."""

    path: str
    name: str
    type: str
    size_bytes: int
    hash_hex: str
    extra: dict[str, Any]
    tags: Sequence[tuple[str, str | None]]


def write_database(path: Path, rows: Iterable[DemoRow]) -> None:
    """Write a database in WAL mode whose rows are still in its `-wal`; there must be none at `path`."""
    with tempfile.TemporaryDirectory(prefix="modelkeep-demo-") as private:
        workshop = Path(private) / path.name
        connection = sqlite3.connect(workshop)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.executescript(SCHEMA)
            for number, row in enumerate(rows, start=1):
                _insert(connection, number, row)
            connection.commit()
            # Copied while it is open: closing it would move the rows out of the -wal.
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{workshop}{suffix}", f"{path}{suffix}")
        finally:
            connection.close()


def _insert(connection: sqlite3.Connection, number: int, row: DemoRow) -> None:
    created_at = FIRST_MS + number * 60_000
    extra = json.dumps(row.extra, ensure_ascii=False) if row.extra else None
    connection.execute(
        "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        (number, row.path, row.name, row.type, row.size_bytes, row.hash_hex, created_at, extra),
    )
    for name, colour in row.tags:
        connection.execute("INSERT OR IGNORE INTO tags VALUES (NULL, ?, ?, ?)", (name, colour, created_at))
        connection.execute("INSERT INTO model_tags SELECT ?, id FROM tags WHERE name = ?", (number, name))
