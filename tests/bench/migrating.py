"""S2: many small rows, beside the loop of the earlier back end that took one row at a time."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.bench import machine
from tests.bench.hashing import pending_in
from tests.bench.measuring import Measured, side_by_side
from tests.bench.scene import Scene, dated_back, write_random
from tests.libraries import LegacyModel, write_legacy_database

from modelkeep.pipeline.arrivals import CLOCKS_APART_SECONDS

ROWS, FILE_BYTES = 10_000, 64 << 10
EARLIER_ROWS_MAX = 1_000
"""The loop's speed does not depend on their number, and it takes its time."""

_TAGS = 50
_LEFT = "SELECT count(*) FROM pending_import WHERE state = 'waiting'"


def known_rows(scene: Scene) -> Iterator[Measured]:
    """S2: rows of a legacy database, with three tags each, from the start until the last one is committed."""
    rows = scene.sized(ROWS)
    library = _library(scene, rows)
    compared = side_by_side(
        lambda: _migrate(scene, library),
        {"one row at a time": lambda: _earlier(scene, library, min(rows, EARLIER_ROWS_MAX)) * rows},
        scene.rounds,
    )
    speed, ratio = rows / compared.seconds, compared.ratios["one row at a time"]
    yield Measured(
        "migrate pending rows",
        f"{rows:,} files of 64 KiB, three tags each",
        speed,
        "rows/s",
        compared.seconds / rows,
        "≥ 2,500 rows/s, ≥ 10 x",
        speed >= 2500 and ratio is not None and 1 / ratio >= 10,
        compared.told(lambda seconds: rows / seconds, as_throughput=True),
    )


def unknown_files(scene: Scene) -> Iterator[Measured]:
    """S2: as many files that no source knew, from their coming below a root until the last one is committed."""
    rows = scene.sized(ROWS)
    library = _library(scene, rows)
    time.sleep(CLOCKS_APART_SECONDS + 0.5)  # as files of a user's, which were not made a moment ago
    seconds = side_by_side(lambda: _detect(scene, library, rows), {}, scene.rounds).seconds
    yield Measured(
        "take up unknown files",
        f"{rows:,} files of 64 KiB",
        rows / seconds,
        "rows/s",
        seconds / rows,
        "≥ 2,500 rows/s",
        rows / seconds >= 2500,
    )


def _library(scene: Scene, rows: int) -> Path:
    library = scene.folder / "library" / "loras"
    for number in range(rows):
        write_random(library / f"d{number % 100}" / f"m{number}.bin", FILE_BYTES)
    dated_back(library)
    return library


def _migrate(scene: Scene, library: Path) -> float:
    with scene.daemon() as daemon:
        daemon.start()
        files = pending_in(daemon, library)
        source = write_legacy_database(scene.fresh("legacy"), map(_row, files))
        daemon.process.must("import", "hikaze", str(source))
        machine.read_all(files)
        began = time.perf_counter()
        daemon.process.resume()
        daemon.wait_for(_LEFT, 0)
        seconds = time.perf_counter() - began
        assert daemon.process.status()["models"] == len(files)
        (daemon.root / library.name).rename(library)
        return seconds


def _detect(scene: Scene, library: Path, rows: int) -> float:
    with scene.daemon() as daemon:
        daemon.start()
        machine.read_all(path for path in library.rglob("*") if path.is_file())
        began = time.perf_counter()
        moved = library.rename(daemon.root / library.name)
        daemon.wait_for("SELECT count(*) FROM models", rows)
        seconds = time.perf_counter() - began
        moved.rename(library)
        return seconds


def _row(path: Path) -> LegacyModel:
    number = int(path.stem[1:])
    tags = [f"tag {(number * 7 + k * 11) % _TAGS}" for k in range(3)]
    return LegacyModel(str(path), tags=tags, extra={"description": f"description {number}"})


def _earlier(scene: Scene, library: Path, rows: int) -> float:
    """Do what the earlier back end did (Hikaze Model Manager 2, `sqlite3` as it comes); returns the seconds a row.

    Its journal is the rollback journal, synced, and each of its calls is a transaction of its own: the model, each of
    its tags, and the removal of the row. What it did beside that (values for the page, images) is left out.
    """
    files = [path for path in library.rglob("*") if path.is_file()][:rows]
    with closing(sqlite3.connect(scene.fresh("earlier") / "earlier.db")) as database:
        _prepare(database, files)
        began = time.perf_counter()
        for number in range(len(files)):
            _migrate_one(database, number)
        return (time.perf_counter() - began) / len(files)


def _prepare(database: sqlite3.Connection, files: list[Path]) -> None:
    database.executescript(
        "PRAGMA foreign_keys = ON;"
        "CREATE TABLE models (sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, name TEXT, meta_json TEXT);"
        "CREATE INDEX models_path ON models (path);"
        "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);"
        "CREATE TABLE model_tags (model_hash TEXT REFERENCES models ON DELETE CASCADE,"
        " tag_id INTEGER REFERENCES tags ON DELETE CASCADE, PRIMARY KEY (model_hash, tag_id));"
        "CREATE TABLE pending_import (id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, name TEXT, meta_json TEXT);"
        "CREATE TABLE pending_model_tags (model_id INTEGER REFERENCES pending_import ON DELETE CASCADE,"
        " tag_id INTEGER REFERENCES tags ON DELETE CASCADE, PRIMARY KEY (model_id, tag_id));"
    )
    database.executemany("INSERT INTO tags VALUES (?, ?)", [(k, f"tag {k}") for k in range(_TAGS)])
    said = json.dumps({"description": "as it was"})
    pending = [(number, str(path), path.name, said) for number, path in enumerate(files)]
    database.executemany("INSERT INTO pending_import VALUES (?, ?, ?, ?)", pending)
    tagged = [(number, (number * 7 + k * 11) % _TAGS) for number in range(len(files)) for k in range(3)]
    database.executemany("INSERT INTO pending_model_tags VALUES (?, ?)", tagged)
    database.commit()


def _migrate_one(database: sqlite3.Connection, number: int) -> None:
    path, name, said = database.execute(
        "SELECT path, name, meta_json FROM pending_import WHERE id = ?", (number,)
    ).fetchone()
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(64 << 10):
            digest.update(block)
    sha256 = digest.hexdigest()
    tags = database.execute("SELECT tag_id FROM pending_model_tags WHERE model_id = ?", (number,)).fetchall()
    with database:
        database.execute("INSERT INTO models VALUES (?, ?, ?, ?)", (sha256, path, name, said))
    for (tag,) in tags:
        with database:
            database.execute("INSERT OR IGNORE INTO model_tags VALUES (?, ?)", (sha256, tag))
    with database:
        database.execute("DELETE FROM pending_model_tags WHERE model_id = ?", (number,))
        database.execute("DELETE FROM pending_import WHERE id = ?", (number,))
