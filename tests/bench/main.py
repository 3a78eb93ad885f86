"""Measure modelkeep beside other programs, in one call, and print one table.

Each pair is run in turn (A B A B …) and the median of the ratios counts: machines are noisy, ratios are not. Usage:
`make bench`, or `.venv/bin/python tests/bench/main.py --rounds 3 --json bench.json`.
"""

import argparse
import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.hashing import FileInRoot
from modelkeep.domain.legacy import LegacyRow, LegacyTag, StagedRow
from modelkeep.domain.migration import MigrationOrder
from modelkeep.domain.values import Fingerprint, Strategy
from modelkeep.pipeline.hash_pool import HashPool

LARGE_FILES, LARGE_BYTES = 4, 128 << 20
SMALL_ROWS = 5_000
IMPORT_ROWS = 20_000

Measured = dict[str, object]


def main() -> int:
    """Run every measurement and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelkeep-bench-") as name:
        folder = Path(name)
        rows = [
            *hashing(folder, options.rounds),
            migrating(folder, options.rounds),
            importing(folder, options.rounds),
        ]
    table = Table("work", "modelkeep", "peer", "ratio")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("work", "modelkeep", "peer", "ratio")))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


def hashing(folder: Path, rounds: int) -> list[Measured]:
    """Hash large files from a warm cache, as many at once as there are cores."""
    files = []
    for number in range(LARGE_FILES):
        path = folder / f"large{number}.bin"
        path.write_bytes(os.urandom(1 << 20) * (LARGE_BYTES >> 20))
        files.append(str(path))
    cores = str(len(os.sched_getaffinity(0)))
    total = LARGE_FILES * LARGE_BYTES / 1e6

    pool = HashPool(0, step_back=False)
    gate = asyncio.Semaphore(pool.workers)

    async def one(path: str) -> None:
        async with gate:
            await pool.digest(FileInRoot("", path), LARGE_BYTES)

    async def ours() -> None:
        await asyncio.gather(*map(one, files))

    measured: list[Measured] = []
    with asyncio.Runner() as runner:
        for peer in (["openssl", "dgst", "-sha256"], ["sha256sum"]):
            work = f"hash {LARGE_FILES} files of {LARGE_BYTES >> 20} MiB, MB/s"
            if shutil.which(peer[0]) is None:
                measured.append({"work": work, "modelkeep": "", "peer": f"{peer[0]} is not installed", "ratio": ""})
                continue
            theirs = _runner(["xargs", "-P", cores, "-n", "1", *peer], "\n".join(files))
            a, b, ratio = side_by_side(lambda: runner.run(ours()), theirs, rounds)
            told = f"{peer[0]} {total / b:.0f}"
            measured.append({"work": work, "modelkeep": round(total / a), "peer": told, "ratio": round(ratio, 2)})
        pool.shutdown()
    return measured


def migrating(folder: Path, rounds: int) -> Measured:
    """Migrate rows whose digest is known, with three tags each, against plain inserts one commit a row."""

    async def ours() -> float:
        catalogue = Catalogue.open(_fresh(folder / "migrate.db"))
        rows = [StagedRow(_row(number), on_disk=Fingerprint(1, number, 9, 9)) for number in range(SMALL_ROWS)]
        taken = await catalogue.import_rows("bench", "bench", rows, 1, lambda _: None)
        orders = [
            MigrationOrder(
                f"m{row.pending_id}",
                row.pending_id,
                row.row.path,
                f"{row.pending_id:064x}",
                Fingerprint(1, row.pending_id, 9, 9),
                Strategy.AUTO,
            )
            for row in taken
        ]
        began = time.perf_counter()
        for start in range(0, len(orders), 256):
            await catalogue.migrate(orders[start : start + 256], [], 1, lambda _: None)
        seconds = time.perf_counter() - began
        catalogue.close()
        return seconds

    def one_by_one() -> float:
        path = folder / "one.db"
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path, isolation_level=None)
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE m (k PRIMARY KEY, v);")
        began = time.perf_counter()
        for number in range(SMALL_ROWS // 10):
            database.execute("INSERT INTO m VALUES (?, ?)", (number, "x"))
        database.close()
        return (time.perf_counter() - began) * 10

    ratios, speeds, peers = [], [], []
    for _ in range(rounds):
        a, b = asyncio.run(ours()), one_by_one()
        speeds.append(SMALL_ROWS / a)
        peers.append(SMALL_ROWS / b)
        ratios.append(b / a)
    return {
        "work": f"migrate {SMALL_ROWS:,} hashed rows, rows/s",
        "modelkeep": round(statistics.median(speeds)),
        "peer": f"one bare durable insert a row {statistics.median(peers):.0f}",
        "ratio": round(statistics.median(ratios), 2),
    }


def importing(folder: Path, rounds: int) -> Measured:
    """Take legacy rows with three tags each, against INSERT … SELECT of as many rows in one connection."""
    rows = [StagedRow(_row(number), on_disk=Fingerprint(1, number, 9, 9)) for number in range(IMPORT_ROWS)]

    async def take() -> float:
        catalogue = Catalogue.open(_fresh(folder / "import.db"))
        began = time.perf_counter()
        await catalogue.import_rows("bench", "bench", rows, 1, lambda _: None)
        seconds = time.perf_counter() - began
        catalogue.close()
        return seconds

    def insert_select() -> float:
        database = sqlite3.connect(":memory:")
        database.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, path UNIQUE, name, type, meta)")
        database.execute("CREATE TABLE t (model, tag, PRIMARY KEY (model, tag))")
        source = [(n, f"/m/{n}", f"{n}.safetensors", "loras", "{}") for n in range(IMPORT_ROWS)]
        began = time.perf_counter()
        database.executemany("INSERT INTO s VALUES (?, ?, ?, ?, ?)", source)
        database.executemany("INSERT INTO t VALUES (?, ?)", [(n, k) for n in range(IMPORT_ROWS) for k in range(3)])
        return time.perf_counter() - began

    pairs = [(asyncio.run(take()), insert_select()) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "work": f"take {IMPORT_ROWS:,} legacy rows, rows/s",
        "modelkeep": round(IMPORT_ROWS / a),
        "peer": f"bare inserts in memory {IMPORT_ROWS / b:.0f}",
        "ratio": round(statistics.median(b / a for a, b in pairs), 2),
    }


def side_by_side(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of both, run in turn after one run each that does not count, and their ratio."""
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return a, b, statistics.median(b / a for a, b in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _runner(command: list[str], text: str) -> Callable[[], object]:
    return lambda: subprocess.run(command, input=text.encode(), stdout=subprocess.DEVNULL, check=True)


def _fresh(database: Path) -> Path:
    """Remove a database of an earlier round."""
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
    return database


def _row(number: int) -> LegacyRow:
    path = f"/models/loras/d{number % 100}/m{number}.safetensors"
    tags = tuple(LegacyTag(f"t{(number * 7 + k * 11) % 50}", "#fff", 1) for k in range(3))
    meta = {"description": f"description {number}"}
    return LegacyRow(
        str(number), f"{number:064x}", path, path, name=f"m{number}.safetensors", type="loras", meta=meta, tags=tags
    )


if __name__ == "__main__":
    sys.exit(main())
