"""S1 and S10: large files through a whole daemon, beside what only hashes them."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import machine
from tests.bench.measuring import Measured, Run, side_by_side
from tests.bench.scene import SETTLE_SECONDS, Measuring, Scene, dated_back, write_random

FILES, FILE_BYTES = 8, 1 << 30
SPARSE_BYTES = 20 << 30
WORKER_BYTES_MAX = 40 << 20
_HEADER_BYTES = 4096
_LEFT = "SELECT count(*) FROM pending_import"


def large_files(scene: Scene) -> Iterator[Measured]:
    """S1: large pending files, warm cache, until all are migrated."""
    library = scene.folder / "large" / "loras"
    files = [_model(library / f"large{number}.safetensors", scene.sized(FILE_BYTES)) for number in range(FILES)]
    dated_back(library)
    total = sum(path.stat().st_size for path in files)
    xargs = ["xargs", "-P", str(machine.cores()), "-n", "1"]
    peers = {
        "openssl": _warm(files, [*xargs, "openssl", "dgst", "-sha256"], needs="openssl"),
        "sha256sum": _warm(files, [*xargs, "sha256sum"], needs="sha256sum"),
    }
    compared = side_by_side(lambda: _hash_in_daemon(scene, library), peers, scene.rounds)
    ratio = compared.ratios["openssl"]
    wanted = 1.6 if machine.facts()["has_sha_ni"] else 0.95
    yield Measured(
        "hash large files",
        f"{FILES} x {scene.sized(FILE_BYTES) >> 20} MiB, warm",
        total / 1e6 / compared.seconds,
        "MB/s",
        compared.seconds / total,
        f"≥ {wanted:g} x openssl",
        None if ratio is None else 1 / ratio >= wanted,
        compared.told(lambda seconds: total / 1e6 / seconds, as_throughput=True),
    )


def _model(path: Path, size_bytes: int) -> Path:
    """Write a whole safetensors file, as most large models are."""
    write_random(path, size_bytes)
    tensor_bytes = size_bytes - 8 - _HEADER_BYTES
    header = {"weight": {"dtype": "U8", "shape": [tensor_bytes], "data_offsets": [0, tensor_bytes]}}
    with path.open("r+b") as file:
        file.write(_HEADER_BYTES.to_bytes(8, "little") + json.dumps(header).encode().ljust(_HEADER_BYTES))
    return path


def _warm(files: list[Path], words: list[str], needs: str) -> Run | None:
    run = machine.command(words, "\n".join(map(str, files))) if shutil.which(needs) else None
    if run is None:
        return None

    def warmed() -> float:
        machine.read_all(files)
        return run()

    return warmed


def _hash_in_daemon(scene: Scene, library: Path) -> float:
    with scene.daemon() as daemon:
        daemon.start()
        files = pending_in(daemon, library)
        machine.read_all(files)
        began = time.perf_counter()
        daemon.process.resume()
        daemon.wait_for(_LEFT, 0)
        seconds = time.perf_counter() - began
        (daemon.root / library.name).rename(library)
        return seconds


def pending_in(daemon: Measuring, library: Path) -> list[Path]:
    """Pause a daemon, and move files below its root; returns them when they are all in its queue."""
    daemon.process.pause()
    moved = library.rename(daemon.root / library.name)
    files = [path for path in moved.rglob("*") if path.is_file()]
    daemon.wait_for(_LEFT, len(files))
    time.sleep(SETTLE_SECONDS + 0.5)  # the quiet time is no work
    return files


def memory(scene: Scene) -> Iterator[Measured]:
    """S10: what hashing a large file takes of memory, and leaves of the page cache."""
    with scene.daemon(steps_back=True) as daemon:
        daemon.start()
        daemon.rest(5)
        idle = machine.pss_bytes(daemon.process.processes())
        path = daemon.root / "large.bin"
        with path.open("wb") as file:
            file.write(os.urandom(4096))
            file.truncate(scene.sized(SPARSE_BYTES))
        daemon.wait_hashing(1)
        most = cached = 0
        while daemon.process.status()["hashing"]["active"]:
            most = max(most, machine.pss_bytes(daemon.process.processes()))
            cached = max(cached, machine.cached_bytes(path))
            time.sleep(0.1)
        daemon.process.wait_model(path, 600)
    size = f"{scene.sized(SPARSE_BYTES) >> 20:,} MiB, sparse"
    above = most - idle
    note = f"{idle / 1e6:.0f} MB idle, {most / 1e6:.0f} MB while hashing"
    goal = f"≤ {WORKER_BYTES_MAX / 1e6:.0f} MB a worker"
    yield Measured(
        "memory that hashing adds", size, above / 1e6, "MB", above, goal, above <= WORKER_BYTES_MAX, note=note
    )
    note = "the most of the file that was in it at one moment"
    yield Measured("page cache that hashing takes", size, cached / 1e6, "MB", cached, note=note)
