"""S4, S5 and S6: how soon the catalogue knows what happened to files."""

import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import machine
from tests.bench.measuring import Measured, percentile, side_by_side
from tests.bench.scene import Measuring, Scene, dated_back, write_random
from tests.libraries import checkpoint, gguf, safetensors

FILES, FILES_A_FOLDER = 200_000, 200
RENAMED_BYTES, RENAMED_FILES = 1 << 30, 10_000
RENAMES = 7
CLOSED_FILES, CLOSED_BYTES = 25, 1 << 20

_MODELS = "SELECT count(*) FROM models"
_PRESENT_BELOW = "SELECT count(*) FROM locations WHERE path > ? AND path < ? AND state = 'present'"


def rescan(scene: Scene) -> Iterator[Measured]:
    """S4: the first look at a tree, and looking through it again, beside find."""
    files = scene.sized(FILES)
    with scene.daemon() as daemon:
        make_tree(daemon.root, files, FILES_A_FOLDER)
        daemon.process.start()
        seconds = daemon.seconds_until(_MODELS, files)
        size = f"{files:,} files of 64 bytes"
        yield Measured(
            "first catalogue of tiny files",
            size,
            files / seconds,
            "files/s",
            seconds / files,
            "≥ 2,500 files/s",
            files / seconds >= 2500,
        )
        daemon.rest(1)
        daemon.process.scan()
        compared = side_by_side(
            lambda: _seconds(daemon.process.scan),
            {"find": machine.command(["find", str(daemon.root), "-printf", r"%i %s %T@ %p\n"])},
            max(scene.rounds, 5),
        )
    ratio = compared.ratios["find"]
    yield Measured(
        "rescan of an unchanged tree",
        f"{files:,} files",
        compared.seconds,
        "s",
        compared.seconds / files,
        "≤ 2 x its time",
        ratio is None or ratio <= 2,
        compared.told(lambda seconds: seconds, as_throughput=False),
    )


def make_tree(root: Path, files: int, files_a_folder: int) -> None:
    """Write a tree of tiny files, no two of which are the same."""
    for number in range(files):
        folder = root / "loras" / f"folder {number // files_a_folder}"
        if number % files_a_folder == 0:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"model {number}.bin").write_bytes(os.urandom(64))
    dated_back(root)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def renames(scene: Scene) -> Iterator[Measured]:
    """S5: renames of a large file and of a folder, until the catalogue's file shows them, and what they read."""
    files = scene.sized(RENAMED_FILES)
    with scene.daemon() as daemon:
        large = write_random(daemon.root / "loras" / "a large one.bin", scene.sized(RENAMED_BYTES))
        make_tree(daemon.root / "many", files, files)
        dated_back(daemon.root)
        daemon.process.start()
        daemon.wait_for(_MODELS, files + 1)
        daemon.rest(1)
        size = f"{large.stat().st_size >> 20:,} MiB"
        yield _renamed(daemon, large, "rename of a file", size, 1, 0.1)
        yield _renamed(daemon, daemon.root / "many", "rename of a folder", f"{files:,} files", files, 1.0)


def _renamed(daemon: Measuring, path: Path, work: str, size: str, files: int, most_seconds: float) -> Measured:
    taken = []
    read = daemon.process.read_characters()
    for number in range(RENAMES):
        time.sleep(1)  # each by itself
        target = path.with_name(f"renamed {number}")
        below = (f"{target}/", f"{target}0") if path.is_dir() else (f"{target}", f"{target}~")
        target = target if path.is_dir() else target.with_suffix(".bin")
        path = path.rename(target)
        taken.append(daemon.seconds_until(_PRESENT_BELOW, files, *below))
    read = (daemon.process.read_characters() - read) // len(taken)
    seconds = statistics.median(taken)
    note = f"at most {max(taken):.3f} s; {read / 1e3:,.0f} kB read for each, its own tables included"
    return Measured(
        work, size, seconds, "s", seconds / files, f"≤ {most_seconds:g} s", seconds <= most_seconds, note=note
    )


def closed_files(scene: Scene) -> Iterator[Measured]:
    """S6: whole files closed after writing, until their models answer over HTTP."""
    formats: tuple[tuple[str, Callable[[object, int], bytes]], ...] = (
        (".safetensors", safetensors),
        (".gguf", gguf),
        (".ckpt", checkpoint),
    )
    with scene.daemon(steps_back=True) as daemon:
        daemon.start()
        for suffix, made in formats:
            taken = [
                _until_answered(daemon, f"{number}{suffix}", made(f"{number}{suffix}", CLOSED_BYTES))
                for number in range(CLOSED_FILES)
            ]
            seconds = statistics.median(taken)
            note = f"of {len(taken)}: 90 % within {percentile(taken, 90):.3f} s"
            yield Measured(
                f"a whole {suffix} closed", "1 MiB", seconds, "s", seconds, "≤ 0.1 s", seconds <= 0.1, note=note
            )


def _until_answered(daemon: Measuring, name: str, content: bytes) -> float:
    client = daemon.client()
    question = f"/api/models/{hashlib.sha256(content).hexdigest()}"
    with (daemon.root / name).open("wb") as file:
        file.write(content)
    began = time.perf_counter()
    while True:
        client.request("GET", question)
        answer = client.getresponse()
        answer.read()
        if answer.status == 200:
            break
        if time.perf_counter() - began > 60:
            raise AssertionError(f"{name} was never taken: {daemon.process.last_words()}")
        time.sleep(0.005)
    client.close()
    return time.perf_counter() - began
