"""What runs in a hashing process. Loads nothing but what hashing needs: it starts often, and stays small.

The daemon says `["read", one by one?, for soon?, [[number, path, with tensors?], ...]]` and `["cancel"]`. It says
`["begun", why not the fastest way]` once, then `["at", [[number, bytes, seconds], ...]]` of what it is reading, and
`["done", [[number, seconds, result], ...]]` with small files by the hundred. A result is
`["digest", sha256, fingerprint, untouched?, facts]`, `["error", errno, text]`, `["unforeseen", text]`, or the kind of
a `FileFailure` with its sentence. It ends when the daemon closes the socket.
"""

import ctypes
import gc
import json
import os
import select
import sys
import time
from contextlib import suppress
from itertools import chain
from typing import Any

from modelkeep.base.parent import tie_to
from modelkeep.pipeline.file_reading import FileBeingRead, FileFailure
from modelkeep.pipeline.hash_lanes import Lane, Pace, Queue, Reading
from modelkeep.pipeline.sha256 import Implementation, Piece, StreamsLibrary, implementation

AHEAD_FILES = 3
"""Files that are opened before it is their turn: what of them is not in memory is being read by then."""

TELL_SECONDS = 0.1
"""How often it is said how far the reading is."""

SOON_MAX = 2
"""So many files for soon are read at once, besides the large ones; with one stream at a time it is one."""

GATHER_SECONDS = 0.005
"""So long what was read of small files may wait to be said together with what comes next."""

_STANDARD_INPUT = 0
_HEARD_BYTES_MAX = 1 << 18

_IOPRIO_WHO_PROCESS, _IOPRIO_BEST_EFFORT_LOWEST = 1, (2 << 13) | 7
_SYS_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_BEHIND_THE_DAEMON, _BEHIND_OTHERS = 5, 10
"""Niceness: the daemon answers before its own processes read, other programs come first where they shall."""


def main() -> None:
    """Serve the daemon over standard input.

    The arguments are its process id, whether to step back, whether tensors get a digest where that costs little, and
    how many streams are taken at once.
    """
    gc.enable()
    parent, step_back, with_tensors, streams = map(int, sys.argv[1:])
    tie_to(parent)
    os.nice(_BEHIND_OTHERS if step_back else _BEHIND_THE_DAEMON)
    if step_back:
        _leave_disk()
    sha256 = implementation(streams)
    if isinstance(sha256, StreamsLibrary):
        sha256.survive_cuts()
    with suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone
        # A second stream in the same core costs half of the first; without that it is left to idle times.
        with_tensors = bool(with_tensors) and sha256.streams > 1
        HashWorker(_STANDARD_INPUT, sha256, with_tensors=with_tensors).serve()
    os._exit(0)  # taking everything apart would take as long as a fifth of the start


def _leave_disk() -> None:
    """Leave the disk to other programs whenever they want it."""
    number = _SYS_IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_BEST_EFFORT_LOWEST)


class HashWorker:
    """Reads the files that the daemon names, in the order in which it names them, those for soon before the others.

    Args:
        connection: descriptor of the socket to the daemon.
        sha256: computes the digests.
        with_tensors: whether the tensors of every file get a digest of their own, where nobody waits for it.
    """

    def __init__(self, connection: int, sha256: Implementation, *, with_tensors: bool) -> None:
        self._sha256 = sha256
        self._with_tensors = with_tensors
        self._pace = Pace()
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._partial = b""
        self._soon, self._large = Queue(is_soon=True), Queue(is_soon=False)
        self._lanes = [
            *(Lane(self._soon) for _ in range(min(SOON_MAX, sha256.streams))),
            *(Lane(self._large) for _ in range(sha256.streams)),
        ]
        self._one_by_one = False
        self._results: list[list[object]] = []
        self._told_at = self._gathered_at = time.perf_counter()

    def serve(self) -> None:
        """Work until the daemon closes the connection."""
        self._say("begun", self._sha256.reason)
        while self._listen():
            self._read_on()
            self._tell()

    def _listen(self) -> bool:
        """Take what the daemon says; waits for it when there is nothing to do. Returns whether it is there still."""
        is_idle = not (self._soon or self._large or any(lane.file for lane in self._lanes))
        if is_idle:
            self._tell_results()
        while is_idle or self._poll.poll(0):
            data = os.read(self._connection, _HEARD_BYTES_MAX)
            if not data:
                return False
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._take(*json.loads(line))
            is_idle = False
        return True

    def _take(self, kind: str, *values: Any) -> None:
        if kind == "cancel":
            self._cancel()
            return
        self._one_by_one, is_soon, files = values
        (self._soon if is_soon else self._large).waiting.extend(files)

    def _cancel(self) -> None:
        read = [lane.file.number for lane in self._lanes if lane.file is not None]
        numbers = [*read, *self._soon.cancel(), *self._large.cancel()]
        self._results += [[number, 0.0, ["cancelled", "hashing was called off"]] for number in numbers]
        for lane in self._lanes:
            lane.leave()

    def _read_on(self) -> None:
        """Hash the next bytes of the files that are being read."""
        lanes = [(lane, lane.file) for lane in self._lanes if self._fill(lane) and lane.file is not None]
        if not lanes:
            return
        self._leave_tensors([file for _, file in lanes if file.is_large])
        turn = self._turn(lanes)
        began = time.perf_counter()
        taken = self._hash([[(stream, data) for stream in file.streams] for _, file, data in turn])
        self._pace.hashed(time.perf_counter() - began)
        for (lane, file, data), is_taken in zip(turn, taken, strict=True):
            if is_taken:
                file.done(len(data))
                lane.data = lane.data[len(data) :]
            else:  # whatever is wrong with the file is told by reading it
                file.read_only()
                lane.data = lane.buffer[:0]

    def _leave_tensors(self, files: list[FileBeingRead]) -> None:
        """Leave tensors to idle times where large files wait for the processor.

        They take as long as another file: the digest of each is known sooner so.
        """
        later = [file for file in files if file.may_leave_tensors] if len(files) > 1 else []
        if later and (self._pace.waits_for_processor or all(file.is_in_memory for file in files)):
            for file in later:
                file.leave_tensors()

    def _turn(self, lanes: list[Reading]) -> list[tuple[Lane, FileBeingRead, memoryview]]:
        """Choose whose bytes are hashed next, and how many: equally many of each."""
        turn = lanes[: 1 if self._is_one_enough else self._sha256.streams]
        count = min(file.until_tensors(len(lane.data)) for lane, file in turn)
        return [(lane, file, lane.data[:count]) for lane, file in turn]

    def _hash(self, pieces: list[list[Piece]]) -> list[bool]:
        """Give the next bytes of each file to its streams, as many at once as can be; returns which were taken."""
        taken: list[bool] = []
        together: list[list[Piece]] = []
        for of_file in pieces:
            if sum(map(len, together)) + len(of_file) > self._sha256.streams:
                taken += self._update(together)
                together = []
            together.append(of_file)
        return taken + self._update(together)

    def _update(self, pieces: list[list[Piece]]) -> list[bool]:
        """Have bytes of some files taken at once; of all or of none."""
        return [self._sha256.update(*chain.from_iterable(pieces))] * len(pieces)

    def _fill(self, lane: Lane) -> bool:
        """Have bytes of a file in a lane, of the next one when one is read; returns whether there are any."""
        while not lane.data:
            if lane.file is None and not (lane.queue and self._may_open(lane.queue)):
                return False
            try:
                self._fetch(lane)
            except Exception as error:
                assert lane.file is not None  # noqa: S101 - opening is no part of it
                self._end(lane, lane.file, _failure(error))
        return True

    def _open_ahead(self, queue: Queue) -> None:
        """Open the next file, or some where the disk can be at work on them while others are read."""
        while queue.waiting and len(queue.opened) < (1 if self._one_by_one else AHEAD_FILES):
            number, path, with_tensors = queue.waiting.popleft()
            try:
                file = FileBeingRead(
                    number,
                    path,
                    self._sha256,
                    with_tensors=with_tensors or self._with_tensors,
                    leaves_tensors=not with_tensors,
                )
                queue.opened.append(file)
            except Exception as error:
                self._results.append([number, 0.0, _failure(error)])

    @property
    def _is_one_enough(self) -> bool:
        """Whether a second file at the same time gains nothing."""
        return self._one_by_one or self._pace.waits_for_disk or self._sha256.streams == 1

    def _may_open(self, queue: Queue) -> bool:
        """Return whether one more file of a queue may be read now."""
        if self._is_one_enough and any(lane.file is not None for lane in self._lanes if lane.queue is queue):
            return False
        self._open_ahead(queue)
        return bool(queue.opened)

    def _fetch(self, lane: Lane) -> None:
        """Have the next piece of a lane's file, which is the next one that is open if it has none."""
        began = time.perf_counter()
        if lane.file is None:
            lane.file = lane.queue.opened.popleft()
            lane.file.began = began
        lane.data = lane.file.next_piece(lane.buffer)
        self._pace.waited(time.perf_counter() - began)
        if not lane.data:
            self._end(lane, lane.file, lane.file.result())

    def _end(self, lane: Lane, file: FileBeingRead, result: list[object]) -> None:
        self._results.append([file.number, time.perf_counter() - file.began, result])
        lane.leave()

    def _tell(self) -> None:
        """Say what is read, and how far the rest is, not too often."""
        now = time.perf_counter()
        if self._results and now - self._gathered_at >= GATHER_SECONDS:
            self._tell_results()
            self._gathered_at = now
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            files = [lane.file for lane in self._lanes if lane.file is not None]
            if files:
                self._say("at", [[file.number, file.bytes_done, now - file.began] for file in files])

    def _tell_results(self) -> None:
        results, self._results = self._results, []
        if results:
            self._say("done", results)

    def _say(self, kind: str, items: list[Any] | str) -> None:
        said = memoryview(json.dumps([kind, items]).encode() + b"\n")
        while said:
            said = said[os.write(self._connection, said) :]


def _failure(error: Exception) -> list[object]:
    """Return the result of a file that has no digest."""
    if isinstance(error, FileFailure):
        return list(error.args)
    if isinstance(error, OSError):
        return ["error", error.errno, error.strerror]
    import traceback  # an eighth of the time that a process takes to begin

    traceback.print_exception(error)
    return ["unforeseen", f"{type(error).__name__}: {error}"]
