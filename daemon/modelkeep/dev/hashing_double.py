"""Doubles of the hashing port: one knows stand-in files without reading them, one ends a reading when told to."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import reading_error
from modelkeep.disk.statx import see
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.hashing import (
    ActiveHash,
    Deliver,
    Digest,
    FileInRoot,
    FileToHash,
    HashBatch,
    Hashing,
    HashOutcome,
)
from modelkeep.errors import HashCancelled, HashError, NoWorkers


class StandInHashing:
    """Answers for stand-in files, and leaves every other one to what hashes in earnest.

    Args:
        earnest: hashes all other files.
        known_digest: returns the SHA-256 of a stand-in file; None for every other one.
        looks: looks at stand-in files.
    """

    def __init__(self, earnest: Hashing, known_digest: Callable[[str], str | None], looks: DiskLooks) -> None:
        self._earnest = earnest
        self._known_digest = known_digest
        self._looks = looks
        self._looking: set[asyncio.Task[None]] = set()

    @property
    def workers(self) -> int:
        """How many files it hashes at once."""
        return self._earnest.workers

    def room(self, device: int, *, soon: bool) -> int:
        """Return how many more files of a device it takes now, see `Hashing.room`."""
        return 0 if self._looking else self._earnest.room(device, soon=soon)

    def make_ready(self, files: int) -> None:
        """Prepare for nothing: which files are stand-ins is not known yet."""

    def submit(self, batch: HashBatch, deliver: Deliver) -> None:
        """Hash files, see `Hashing.submit`."""
        self._looking.add(asyncio.ensure_future(self._submit(batch, deliver)))

    async def _submit(self, batch: HashBatch, deliver: Deliver) -> None:
        numbers = range(len(batch.files))
        try:
            found = await asyncio.gather(*(self._look(asked.file.path) for asked in batch.files))
        except asyncio.CancelledError:
            found = [HashCancelled("called off") for _ in numbers]
        self._looking.clear()
        unknown = [number for number in numbers if found[number] is None]
        if unknown:
            rest = replace(batch, files=[batch.files[number] for number in unknown])
            self._earnest.submit(
                rest,
                lambda outcomes: deliver([replace(outcome, number=unknown[outcome.number]) for outcome in outcomes]),
            )
        deliver([HashOutcome(number, result) for number in numbers if (result := found[number]) is not None])

    async def _look(self, path: str) -> Digest | HashError | None:
        try:
            return await self._looks.run(path, self._known, path)
        except OSError as error:
            return reading_error(path, error)
        except HashError as error:
            return error

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed."""
        return self._earnest.active()

    def cancel_all(self) -> None:
        """Call off all that was submitted."""
        for task in self._looking:
            task.cancel()
        self._earnest.cancel_all()

    def _known(self, path: str) -> Digest | None:
        sha256 = self._known_digest(path)
        return Digest(sha256, see(path).fingerprint) if sha256 is not None else None


class GatedHashing:
    """Begins what it is given, reads nothing, and ends each file when and how a test says."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.expected: list[int] = []
        self.begun: list[str] = []
        self.running: dict[str, Callable[[Digest | HashError | NoWorkers], None]] = {}

    def room(self, device: int, *, soon: bool) -> int:  # noqa: ARG002 - the port's
        """Return how many more files it takes now."""
        return self.workers - len(self.running)

    def make_ready(self, files: int) -> None:
        """Note for how many files one is to be prepared."""
        self.expected.append(files)

    def submit(self, batch: HashBatch, deliver: Deliver) -> None:
        """Hold files until the test ends the reading of each.

        Raises:
            RuntimeError: more files are given than it may hash at once.
        """
        if len(batch.files) > self.room(batch.device, soon=batch.soon):
            raise RuntimeError("more work than workers")
        waiting = deque(enumerate(batch.files))
        self._begin(waiting, deliver)
        while waiting and not batch.one_by_one:
            self._begin(waiting, deliver)

    def _begin(self, waiting: deque[tuple[int, FileToHash]], deliver: Deliver) -> None:
        number, asked = waiting.popleft()

        def end(result: Digest | HashError | NoWorkers) -> None:
            outcomes = [HashOutcome(number, result)]
            if isinstance(result, HashCancelled):
                outcomes += [HashOutcome(other, result) for other, _ in waiting]
                waiting.clear()
            deliver(outcomes)
            if waiting:
                self._begin(waiting, deliver)

        self.begun.append(asked.file.path)
        self.running[asked.file.path] = end

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed, of which nothing is read."""
        return [ActiveHash(path, 0, 0, 0) for path in self.running]

    def cancel_all(self) -> None:
        """Call off all that was submitted."""
        for path in list(self.running):
            self.end(path, HashCancelled("called off"))

    def end(self, path: str, error: HashError | NoWorkers | None = None, digest: Digest | None = None) -> None:
        """End the reading of a file, with a made-up digest unless one is given."""
        self.running.pop(path)(error or digest or Digest(path * 2, Fingerprint(0, 0, 0, 0)))


async def digest_of(hasher: Hashing, file: FileInRoot, size_bytes: int = 0) -> Digest:
    """Hash one file, and wait for its digest.

    Raises:
        HashError: it has none, with the reason.
        NoWorkers: no file can be hashed now.
    """
    delivered: asyncio.Future[HashOutcome] = asyncio.get_running_loop().create_future()

    def deliver(outcomes: Sequence[HashOutcome]) -> None:
        for outcome in outcomes:
            delivered.set_result(outcome)

    hasher.submit(HashBatch([FileToHash(file, size_bytes)]), deliver)
    result = (await delivered).result
    if isinstance(result, Digest):
        return result
    raise result
