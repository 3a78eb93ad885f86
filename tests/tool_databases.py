"""Small databases of other tools, made by the statements of their own migrations."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.naming import PathMap
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import DatabaseReader

OLD_FOLDER = "/srv/models"
"""Where the models lay when the tools ran."""


def database(path: Path, statements: str, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> Path:
    """Make a database of some tables and rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript(statements)
        for table, values in rows.items():
            for row in values:
                marks = ", ".join("?" for _ in row)
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    connection.close()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def model(path: Path, mtime_ns: int = 1_728_526_996_508_089_088) -> Path:
    """Make a file that stands for a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def json_file(path: Path, value: object) -> Path:
    """Write a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


def read(reader: DatabaseReader, source: Path, models: Path, scratch: Path) -> SourceContent:
    """Read a source whose models lie elsewhere now."""
    options = SourceOptions(source, path_map=PathMap(((OLD_FOLDER, str(models)),)), scratch=scratch)
    content = reader.read(options)
    assert content is not None
    return content


def by_model(content: SourceContent) -> dict[str, SourceRecord]:
    """Return the records by the base names of their models."""
    return {Path(path).name: record for record in content.records for path in record.models}
