"""S7 and S8: what an idle daemon takes, and how soon it answers while it works."""

import statistics
import time
from collections.abc import Iterator

from tests.bench import machine
from tests.bench.hashing import FILE_BYTES, pending_in
from tests.bench.measuring import Measured, percentile
from tests.bench.scene import Measuring, Scene, dated_back, write_random
from tests.bench.watching import make_tree

FOLDERS, FILES = 5_000, 50_000
MEMORY_BYTES_MAX = 80_000_000
REST_SECONDS = 15
WATCHED_SECONDS, SAMPLE_SECONDS = 150, 1
"""Long enough for the looks of two minutes, and often enough to see what each of them takes."""
QUESTIONS, QUESTIONS_MIN = 1_000, 100


def idle(scene: Scene) -> Iterator[Measured]:
    """S7: memory and processor time of all processes while nothing happens."""
    files, folders = scene.sized(FILES), scene.sized(FOLDERS)
    with scene.daemon(steps_back=True) as daemon:
        make_tree(daemon.root, files, max(1, files // folders))
        daemon.process.start()
        daemon.wait_for("SELECT count(*) FROM models", files)
        daemon.rest(REST_SECONDS)
        processes = daemon.process.processes()
        before, began = machine.processor_seconds(processes), time.monotonic()
        samples: list[int] = []
        while (seconds := time.monotonic() - began) < WATCHED_SECONDS:
            samples.append(machine.pss_bytes(processes))
            time.sleep(SAMPLE_SECONDS)
            processes = daemon.process.processes()
        share = (machine.processor_seconds(processes) - before) / seconds
    size = f"{folders:,} folders, {files:,} locations"
    memory, most = statistics.median(samples), max(samples)
    note = f"median of {len(samples)}, at most {most / 1e6:.1f}; {len(processes)} processes"
    met = most <= MEMORY_BYTES_MAX
    yield Measured("memory while idle", size, memory / 1e6, "MB", memory, "≤ 80 MB", met, note=note)
    yield Measured("processor while idle", size, 100 * share, "% of a core", share, "≤ 0.2 %", share <= 0.002)


def answers(scene: Scene) -> Iterator[Measured]:
    """S8: one model asked for again and again, idle and while every worker hashes."""
    library = scene.folder / "large" / "loras"
    for number in range(4 * machine.cores()):
        write_random(library / f"large{number}.bin", scene.sized(FILE_BYTES))
    dated_back(library)
    with scene.daemon() as daemon:
        sha256 = _one_model(daemon)
        at_rest = _latencies(daemon, sha256)
        pending_in(daemon, library)
        daemon.process.resume()
        daemon.wait_hashing(machine.cores())
        at_work = _latencies(daemon, sha256, only_while_hashing=True)
    for work, taken, goal in (("GET of a model, idle", at_rest, ""), ("GET of a model, hashing", at_work, "≤ 20 ms")):
        worst = 1e3 * percentile(taken, 99)
        note = f"median {1e3 * percentile(taken, 50):.1f} ms of {len(taken):,}"
        met = worst <= 20 if goal else None
        yield Measured(work, "99th percentile", worst, "ms", worst, goal, met, note=note)


def _one_model(daemon: Measuring) -> str:
    path = write_random(daemon.root / "one.bin", 4096)
    dated_back(daemon.root)
    daemon.start()
    return daemon.process.wait_model(path)


def _latencies(daemon: Measuring, sha256: str, *, only_while_hashing: bool = False) -> list[float]:
    client = daemon.client()
    taken: list[float] = []
    while len(taken) < QUESTIONS:
        began = time.perf_counter()
        client.request("GET", f"/api/models/{sha256}")
        client.getresponse().read()
        taken.append(time.perf_counter() - began)
        if only_while_hashing and len(taken) % 50 == 0 and not daemon.process.status()["hashing"]["active"]:
            break
        time.sleep(0.002)
    client.close()
    assert len(taken) >= QUESTIONS_MIN, "it hashed for too short a time: use a larger scale"
    return taken
