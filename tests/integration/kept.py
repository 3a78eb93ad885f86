"""What a data folder holds, read with nothing but sqlite3."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass
class Kept:
    """What the data folder holds, as it lies there."""

    models: dict[str, Row]
    pending: dict[str, Row]
    locations: dict[str, Row]
    images: dict[str, list[Row]]
    refused: dict[str, list[Row]]
    tags: dict[str, Row]
    model_tags: dict[str, set[str]]
    pending_tags: dict[int, set[str]]
    unfinished: list[str]


def read_kept(data_dir: Path) -> Kept:
    """Read the catalogue with nothing but sqlite3."""
    with closing(sqlite3.connect(f"file:{data_dir / 'modelkeep.db'}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row

        def table(query: str) -> list[Row]:
            return [dict(row) for row in connection.execute(query)]

        def grouped(query: str, key: str) -> dict[Any, list[Row]]:
            groups: dict[Any, list[Row]] = defaultdict(list)
            for row in table(query):
                groups[row[key]].append(row)
            return groups

        carried = "SELECT {0} AS owner, name FROM {1} JOIN tags ON tags.id = tag_id"
        by_model = grouped(carried.format("model_hash", "model_tags"), "owner")
        by_row = grouped(carried.format("model_id", "pending_model_tags"), "owner")
        return Kept(
            models={row["sha256"]: row for row in table("SELECT * FROM models")},
            pending={row["path"]: row for row in table("SELECT * FROM pending_import")},
            locations={row["path"]: row for row in table("SELECT * FROM locations")},
            images=grouped("SELECT * FROM images ORDER BY seq", "sha256"),
            refused=grouped("SELECT * FROM refused_pictures", "sha256"),
            tags={row["name"]: row for row in table("SELECT * FROM tags")},
            model_tags={owner: {row["name"] for row in rows} for owner, rows in by_model.items()},
            pending_tags={owner: {row["name"] for row in rows} for owner, rows in by_row.items()},
            unfinished=[row["id"] for row in table("SELECT id FROM migrations")],
        )


def dump(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of the catalogue.

    What the daemon keeps for itself is left out: when a pending row is tried again, and the ids of committed
    migrations, which go as soon as the journal knows their end.
    """
    with closing(sqlite3.connect(f"file:{data_dir / 'modelkeep.db'}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        tables = [name for (name,) in found if name != "migrations" and not name.startswith("sqlite_")]
        return {name: _content(connection, name) for name in tables}


def _content(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    names = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    chosen = ", ".join(f'"{name}"' for name in names if name not in ("attempts", "due_at"))
    return sorted(connection.execute(f'SELECT {chosen} FROM "{table}"').fetchall())
