"""S3: stage 1 of a legacy database, beside the copy of the same rows by the sqlite3 shell."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.bench import machine
from tests.bench.measuring import Measured, Run, side_by_side
from tests.bench.scene import Measuring, Scene
from tests.libraries import LegacyModel, sha256_of, write_legacy_database

from modelkeep.catalogue.dialect import CACHE_KIB
from modelkeep.catalogue.sqlite_files import LOG_PAGES

ROWS, TAGS_A_ROW = 100_000, 3
COMMAND_ROWS = 10_000

_COPY = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE models (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, name TEXT, type TEXT NOT NULL,
  size_bytes INTEGER, hash_hex TEXT NOT NULL, created_at INTEGER NOT NULL, meta_json TEXT, extra_json TEXT);
CREATE INDEX idx_models_hash ON models(hash_hex);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, color TEXT, created_at INTEGER);
CREATE TABLE model_tags (model_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, PRIMARY KEY (model_id, tag_id));
ATTACH '{source}' AS source;
BEGIN;
INSERT INTO models SELECT id, path, name, type, size_bytes, hash_hex, created_at, meta_json, extra_json
  FROM source.models;
INSERT INTO tags SELECT id, name, color, created_at FROM source.tags;
INSERT INTO model_tags SELECT model_id, tag_id FROM source.model_tags;
COMMIT;
"""

_COPY_OURS = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
PRAGMA cache_size = -{cache}; PRAGMA wal_autocheckpoint = {log};
{schema}
ATTACH '{source}' AS source;
BEGIN;
{rows}
COMMIT;
"""
"""What an import has made, row by row from one file into another: no import can be faster than its own tables."""


def first_and_second(scene: Scene) -> Iterator[Measured]:
    """S3: a first run through the daemon's API, from the request to the report, and one that changes nothing."""
    rows = scene.sized(ROWS)
    source = _source(scene, rows)

    def first() -> float:
        with scene.daemon() as daemon:
            daemon.start().process.pause()
            return _import(daemon, source, rows)

    def again() -> float:
        with scene.daemon() as daemon:
            daemon.start().process.pause()
            _import(daemon, source, rows)
            return _import(daemon, source, rows)

    shell = {"INSERT … SELECT": _shell(scene, source)}
    size = f"{rows:,} rows, {rows * TAGS_A_ROW:,} tag links, every other with a hash"
    for work, run, peers in (
        ("import a legacy database", first, {**shell, "our tables alone": _own_tables(scene, source, rows)}),
        ("import it again, unchanged", again, shell),
    ):
        compared = side_by_side(run, peers, scene.rounds)
        ratio = compared.ratios["INSERT … SELECT"]
        speed = rows / compared.seconds
        yield Measured(
            work,
            size,
            speed,
            "rows/s",
            compared.seconds / rows,
            "≥ 40,000 rows/s, ≤ 4 x its time",
            speed >= 40_000 and (ratio is None or ratio <= 4),
            compared.told(lambda seconds: rows / seconds, as_throughput=False),
        )


def by_command(scene: Scene) -> Iterator[Measured]:
    """S3: the whole command, from its start to its end, without a daemon."""
    rows = scene.sized(COMMAND_ROWS)
    source = _source(scene, rows)

    def ours() -> float:
        with scene.daemon() as daemon:
            began = time.perf_counter()
            daemon.process.must("import", "hikaze", str(source))
            return time.perf_counter() - began

    seconds = side_by_side(ours, {}, scene.rounds).seconds
    yield Measured("modelkeep import, the command", f"{rows:,} rows", seconds, "s", seconds / rows)


def _source(scene: Scene, rows: int) -> Path:
    return write_legacy_database(scene.fresh("legacy"), map(_row, range(rows)))


def _row(number: int) -> LegacyModel:
    tags = tuple(f"tag {(number * 7 + k * 11) % 50}" for k in range(TAGS_A_ROW))
    return LegacyModel(
        f"/srv/models/loras/folder {number % 100}/model {number}.safetensors",
        # As random as real ones: their order is what trees of them cost.
        hash_hex=sha256_of(str(number).encode()) if number % 2 else "",
        size_bytes=144_000_000 + number,
        extra={"description": f"description {number}", "prompts": {"positive": f"a photo, {number}"}},
        tags=tags,
    )


def _import(daemon: Measuring, source: Path, rows: int) -> float:
    began = time.perf_counter()
    answer = daemon.process.request("POST", "/api/import", json={"kind": "hikaze", "source": str(source)})
    seconds = time.perf_counter() - began
    assert f'"rows":{rows}' in answer.text.replace(" ", ""), answer.text[-500:]
    return seconds


def _shell(scene: Scene, source: Path) -> Run | None:
    """Return what copies the rows in the sqlite3 shell, the file made ready for it untimed."""
    copy, target = scene.folder / "copied.db", scene.folder / "shell.db"
    run = machine.command(["sqlite3", str(target)], _COPY.format(source=copy))
    if run is None:
        return None

    def copied() -> float:
        for old in (*scene.folder.glob("shell.db*"), *scene.folder.glob("copied.db*")):
            old.unlink()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{source}{suffix}", f"{copy}{suffix}")
        return run()

    return copied


def _own_tables(scene: Scene, source: Path, rows: int) -> Run | None:
    """Return what copies the rows that an import makes into tables like ours, in the sqlite3 shell."""
    imported, target = scene.folder / "imported.db", scene.folder / "own.db"
    with scene.daemon() as daemon:
        _import(daemon.start(), source, rows)
        daemon.process.stop()
        shutil.copyfile(daemon.process.data_dir / "modelkeep.db", imported)
    with closing(sqlite3.connect(imported)) as connection:
        made = "SELECT type, name, sql FROM sqlite_master WHERE sql <> '' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        objects = connection.execute(made).fetchall()
    # With a limit, though it limits nothing, rows are inserted one by one and not copied as pages of a tree.
    inserts = [
        f"INSERT INTO {name} SELECT * FROM source.{name} LIMIT -1;" for kind, name, _ in objects if kind == "table"
    ]
    script = _COPY_OURS.format(
        cache=CACHE_KIB,
        log=LOG_PAGES,
        schema="\n".join(f"{statement};" for _, _, statement in objects),
        source=imported,
        rows="\n".join(inserts),
    )
    run = machine.command(["sqlite3", str(target)], script)
    if run is None:
        return None

    def copied() -> float:
        for old in scene.folder.glob("own.db*"):
            old.unlink()
        return run()

    return copied
