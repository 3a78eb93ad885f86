"""Doubles of the hashing port: one knows stand-in files without reading them, one ends a reading when told to."""

import asyncio
from collections.abc import Callable

from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.reach import reading_error
from modelkeep.disk.statx import see
from modelkeep.domain.hashing import ActiveHash, Digest, FileInRoot, Hashing
from modelkeep.domain.values import Fingerprint
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

    @property
    def workers(self) -> int:
        """How many files it hashes at once."""
        return self._earnest.workers

    async def digest(self, file: FileInRoot, size_bytes: int) -> Digest:
        """Hash a file, see `Hashing.digest`."""
        try:
            known = await self._looks.run(file.path, self._known, file.path)
        except OSError as error:
            raise reading_error(file.path, error) from error
        return known or await self._earnest.digest(file, size_bytes)

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed."""
        return self._earnest.active()

    def cancel_all(self) -> None:
        """Call off what is being hashed."""
        self._earnest.cancel_all()

    def _known(self, path: str) -> Digest | None:
        sha256 = self._known_digest(path)
        return Digest(sha256, see(path).fingerprint) if sha256 is not None else None


class GatedHashing:
    """Begins what it is given, reads nothing, and ends each file when and how a test says."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Future[Digest]] = {}

    async def digest(self, file: FileInRoot, size_bytes: int) -> Digest:  # noqa: ARG002 - the port's
        """Wait until the test ends the reading of a file.

        Raises:
            RuntimeError: more files are given than it may hash at once.
        """
        if len(self.running) >= self.workers:
            raise RuntimeError("more work than workers")
        path = file.path
        self.begun.append(path)
        self.running[path] = asyncio.get_running_loop().create_future()
        try:
            return await self.running[path]
        finally:
            del self.running[path]

    def active(self) -> list[ActiveHash]:
        """Return what is being hashed, of which nothing is read."""
        return [ActiveHash(path, 0, 0, 0) for path in self.running]

    def cancel_all(self) -> None:
        """Call off what is being hashed."""
        for path in list(self.running):
            self.end(path, HashCancelled("called off"))

    def end(self, path: str, error: HashError | NoWorkers | None = None, digest: Digest | None = None) -> None:
        """End the reading of a file, with a made-up digest unless one is given."""
        if error is None:
            self.running[path].set_result(digest or Digest(path * 2, Fingerprint(0, 0, 0, 0)))
        else:
            self.running[path].set_exception(error)
