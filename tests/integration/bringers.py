"""The ways in which a model file comes into a folder: real programs, and what others are known to do."""

import mmap
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.integration.slow_server import pieces

PIECES = 4
_ARIA2_BYTES = 4 << 20
"""It gives no connection less than a megabyte."""


@dataclass(frozen=True)
class Delivery:
    """A file that shall be brought.

    Args:
        path: where it shall lie in the end.
        content: what shall be in it then.
        url: where a slow server has it.
        aside: a folder of its own that nobody watches.
        pause_seconds: how long a writer rests between two pieces; longer than a file has to lie still.
        short_seconds: much shorter than that.
    """

    path: Path
    content: bytes
    url: str
    aside: Path
    pause_seconds: float
    short_seconds: float

    @property
    def pieces(self) -> list[bytes]:
        """The content in pieces."""
        return pieces(self.content, PIECES)

    def beside(self, suffix: str) -> Path:
        """Return the path with something put behind its name."""
        return self.path.with_name(self.path.name + suffix)


@dataclass(frozen=True)
class Way:
    """A way to bring a file.

    Args:
        bring: does it.
        programs: that it needs.
        size_bytes: so large that pieces of the file are on their way for a while.
        touches_closed: it gives the file another mtime or mode after closing it. Who is quick hashes it before
            and afterwards.
    """

    bring: Callable[[Delivery], None]
    programs: tuple[str, ...] = ()
    size_bytes: int = 512 << 10
    touches_closed: bool = False

    @property
    def missing(self) -> list[str]:
        """The programs that are not installed."""
        return [program for program in self.programs if shutil.which(program) is None]


# Programs that download


def wget(delivery: Delivery) -> None:
    """Write into a name of one's own choice."""
    _run("wget", "-q", "-O", str(delivery.path), delivery.url)


def wget_into_folder(delivery: Delivery) -> None:
    """Give the file the server's date after it is closed."""
    _run("wget", "-q", "-P", str(delivery.path.parent), delivery.url)


def curl(delivery: Delivery) -> None:
    """Write into the final name."""
    _run("curl", "-sS", "-o", str(delivery.path), delivery.url)


def curl_with_remote_time(delivery: Delivery) -> None:
    """Write into the final name, and date the file back."""
    _run("curl", "-sSR", "-o", str(delivery.path), delivery.url)


def aria2(delivery: Delivery) -> None:
    """Reserve the space at once, and fill it by four connections in no order, with a control file beside it."""
    _run(*_aria2(delivery))


def aria2_that_reserves_by_fallocate(delivery: Delivery) -> None:
    """Reserve the space by fallocate(2)."""
    _run(*_aria2(delivery, "--file-allocation=falloc"))


def aria2_that_reserves_nothing(delivery: Delivery) -> None:
    """Leave holes where nothing has come yet."""
    _run(*_aria2(delivery, "--file-allocation=none"))


def aria2_that_is_killed_and_goes_on_later(delivery: Delivery) -> None:
    """Leave file and control file alone for a while, as who switches the computer off does."""
    begun = subprocess.Popen(_aria2(delivery, "--auto-save-interval=1"), stdout=subprocess.DEVNULL)
    time.sleep(1.5 * delivery.pause_seconds)
    begun.kill()
    begun.wait()
    time.sleep(delivery.pause_seconds)
    _run(*_aria2(delivery, "--continue"))


def _aria2(delivery: Delivery, *options: str) -> list[str]:
    split = ("-x", "4", "-s", "4", "-k", "1M", "--no-conf", "--remote-time=true")
    where = ("-d", str(delivery.path.parent), "-o", delivery.path.name)
    return ["aria2c", "-q", *split, *options, *where, delivery.url]


# Programs that copy


def rsync(delivery: Delivery) -> None:
    """Write into a dot name beside the final one; the rename comes with the source's old date."""
    _run("rsync", "-t", *_slow_rsync(delivery), str(_source(delivery)), str(delivery.path))


def rsync_in_place(delivery: Delivery) -> None:
    """Write into the final name."""
    _run("rsync", "-t", "--inplace", *_slow_rsync(delivery), str(_source(delivery)), str(delivery.path))


def rsync_in_place_that_reserves(delivery: Delivery) -> None:
    """Reserve the space of the final name first."""
    options = ("--inplace", "--preallocate", "--no-times", *_slow_rsync(delivery))
    _run("rsync", *options, str(_source(delivery)), str(delivery.path))


def cp(delivery: Delivery) -> None:
    """Copy from what is slow itself."""
    with _slow_pipe(delivery) as pipe:
        _run("cp", str(pipe), str(delivery.path))


def mv_across_file_systems(delivery: Delivery) -> None:
    """Copy, date back, and delete the source; each of its writes takes long."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = _source(delivery, Path(other))
        calls = "write,copy_file_range"
        delay = f"inject={calls}:delay_enter={round(delivery.pause_seconds * 1_000_000)}"
        _run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", delay, "mv", source, delivery.path)


def dd_into_reserved_space(delivery: Delivery) -> None:
    """Fill space that was reserved by fallocate a moment before."""
    _run("fallocate", "-l", str(len(delivery.content)), str(delivery.path))
    with _slow_pipe(delivery) as pipe:
        _run("dd", "status=none", f"if={pipe}", f"of={delivery.path}", "conv=notrunc", "bs=64K")


def _slow_rsync(delivery: Delivery) -> tuple[str, ...]:
    kib_per_second = len(delivery.content) / 1024 / (PIECES * delivery.pause_seconds)
    return ("--whole-file", f"--bwlimit={kib_per_second:.0f}")


def _source(delivery: Delivery, folder: Path | None = None) -> Path:
    source = (folder or delivery.aside) / delivery.path.name
    source.write_bytes(delivery.content)
    os.utime(source, (1_735_689_600, 1_735_689_600))
    return source


@contextmanager
def _slow_pipe(delivery: Delivery) -> Iterator[Path]:
    """A named pipe out of which the content comes in pieces, with pauses."""
    pipe = delivery.aside / "pipe"
    os.mkfifo(pipe)

    def fill() -> None:
        with pipe.open("wb", buffering=0) as file:
            _write_slowly(file, delivery)

    filler = threading.Thread(target=fill)
    filler.start()
    yield pipe
    filler.join()


# What other programs are known to do


def browser_of_chromium_kind(delivery: Delivery) -> None:
    """Rename when it is whole."""
    unconfirmed = delivery.path.with_name(f"Unconfirmed {abs(hash(delivery.path)) % 10**6}.crdownload")
    with unconfirmed.open("wb") as file:
        _write_slowly(file, delivery)
    unconfirmed.rename(delivery.path)


def firefox(delivery: Delivery) -> None:
    """Hold the final name by an empty file, and rename over it."""
    delivery.path.touch()
    with delivery.beside(".part").open("wb") as file:
        _write_slowly(file, delivery)
    delivery.beside(".part").rename(delivery.path)


def hugging_face_folder(delivery: Delivery) -> None:
    """Write `.incomplete` with pauses in which it is closed, then move it to its name."""
    incomplete = delivery.beside(".incomplete")
    _append_slowly(incomplete, delivery, delivery.pause_seconds)
    incomplete.rename(delivery.path)


def hugging_face_cache(delivery: Delivery) -> None:
    """Rename to a name without ending in `blobs`, and link to that from `snapshots`."""
    blob = delivery.path.parent / "blobs" / delivery.path.name.replace(".", "")
    blob.parent.mkdir(exist_ok=True)
    incomplete = blob.with_name(blob.name + ".incomplete")
    _append_slowly(incomplete, delivery, delivery.pause_seconds)
    incomplete.rename(blob)
    delivery.path.symlink_to(Path("blobs") / blob.name)


def closed_and_opened_again(delivery: Delivery) -> None:
    """Close the file after every piece, and go on soon."""
    _append_slowly(delivery.path, delivery, delivery.short_seconds)


def middle_last(delivery: Delivery) -> None:
    """Write beginning and end of a sparse file, and the middle last."""
    parts, end = delivery.pieces, len(delivery.content)
    starts = [sum(map(len, parts[:number])) for number in range(len(parts))]
    with delivery.path.open("wb", buffering=0) as file:
        file.truncate(end)
        for number in (0, 3, 2, 1):
            file.seek(starts[number])
            file.write(parts[number])
            time.sleep(delivery.pause_seconds)


def middle_last_closed_between(delivery: Delivery) -> None:
    """Do the same and close the file after every piece."""
    parts = delivery.pieces
    starts = [sum(map(len, parts[:number])) for number in range(len(parts))]
    delivery.path.touch()
    for number in (0, 3, 2, 1):
        with delivery.path.open("r+b") as file:
            file.seek(starts[number])
            file.write(parts[number])
        time.sleep(delivery.short_seconds)


def mapped_memory(delivery: Delivery) -> None:
    """Close the descriptor at once and write through mapped memory: no event tells of these writes."""
    with delivery.path.open("w+b") as file:
        file.truncate(len(delivery.content))
        memory = mmap.mmap(file.fileno(), len(delivery.content))
    start = 0
    for piece in delivery.pieces:
        memory[start : start + len(piece)] = piece
        start += len(piece)
        time.sleep(delivery.pause_seconds)
    memory.close()


def stopped_in_the_middle(delivery: Delivery) -> None:
    """Be stopped for a while by SIGSTOP with the file open."""
    begun = subprocess.Popen(["dd", "status=none", f"of={delivery.path}", "bs=4K"], stdin=subprocess.PIPE)
    assert begun.stdin is not None
    with begun.stdin:
        begun.stdin.write(delivery.content[: len(delivery.content) // 2])
        begun.stdin.flush()
        begun.send_signal(signal.SIGSTOP)
        time.sleep(2 * delivery.pause_seconds)
        begun.send_signal(signal.SIGCONT)
        begun.stdin.write(delivery.content[len(delivery.content) // 2 :])
    assert begun.wait() == 0


def _append_slowly(path: Path, delivery: Delivery, pause_seconds: float) -> None:
    for number, piece in enumerate(delivery.pieces):
        if number:
            time.sleep(pause_seconds)
        with path.open("ab") as file:
            file.write(piece)


def _write_slowly(file: BinaryIO, delivery: Delivery) -> None:
    for number, piece in enumerate(delivery.pieces):
        if number:
            time.sleep(delivery.pause_seconds)
        file.write(piece)
        file.flush()


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"


WAYS = {
    "wget": Way(wget, ("wget",), touches_closed=True),
    "wget into a folder": Way(wget_into_folder, ("wget",), touches_closed=True),
    "curl": Way(curl, ("curl",)),
    "curl with remote time": Way(curl_with_remote_time, ("curl",), touches_closed=True),
    "aria2": Way(aria2, ("aria2c",), _ARIA2_BYTES, touches_closed=True),
    "aria2 falloc": Way(aria2_that_reserves_by_fallocate, ("aria2c",), _ARIA2_BYTES, touches_closed=True),
    "aria2 none": Way(aria2_that_reserves_nothing, ("aria2c",), _ARIA2_BYTES, touches_closed=True),
    "aria2 killed": Way(aria2_that_is_killed_and_goes_on_later, ("aria2c",), _ARIA2_BYTES, touches_closed=True),
    "rsync": Way(rsync, ("rsync",)),
    "rsync in place": Way(rsync_in_place, ("rsync",), touches_closed=True),
    "rsync reserving": Way(rsync_in_place_that_reserves, ("rsync",), touches_closed=True),
    "cp": Way(cp),
    "mv": Way(mv_across_file_systems, ("strace",)),
    "dd": Way(dd_into_reserved_space, ("fallocate",)),
    "chromium": Way(browser_of_chromium_kind),
    "firefox": Way(firefox),
    "hugging face folder": Way(hugging_face_folder),
    "hugging face cache": Way(hugging_face_cache),
    "closed and opened again": Way(closed_and_opened_again),
    "middle last": Way(middle_last),
    "middle last, closed between": Way(middle_last_closed_between),
    "mapped memory": Way(mapped_memory),
    "stopped in the middle": Way(stopped_in_the_middle, ("dd",)),
}
