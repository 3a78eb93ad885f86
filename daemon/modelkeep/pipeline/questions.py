"""Answer "what is the digest of this file?": at once when it is known, else before all else, reading it once."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from modelkeep.domain.values import Fingerprint, Location, Priority
from modelkeep.errors import HashError
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.hashing import HashStage
from modelkeep.pipeline.looking import fingerprint_of
from modelkeep.pipeline.refill import unseen
from modelkeep.pipeline.work import Work


class KnowsLocations(Protocol):
    """What is needed of the catalogue."""

    async def locations_at(self, paths: Sequence[str]) -> dict[str, Location]:
        """Return the locations of these paths."""


class Questions:
    """Those who wait for a digest, by path. Several who ask for one file, and the queue itself, share one reading."""

    def __init__(self, catalogue: KnowsLocations, hashing: HashStage) -> None:
        self._catalogue = catalogue
        self._hashing = hashing
        self._asked: dict[str, list[asyncio.Future[Digest]]] = {}

    async def digest(self, path: str) -> Digest:
        """Return the digest of a file.

        Raises:
            HashError: it cannot be hashed now, with the reason.
        """
        fingerprint = await asyncio.to_thread(fingerprint_of, path)
        if fingerprint is None:
            raise await asyncio.to_thread(unseen, path)
        place = (await self._catalogue.locations_at([path])).get(path)
        if place is not None and not place.claimed and fingerprint.same_file_at_same_path(place.fingerprint):
            return Digest(place.sha256, fingerprint)
        answer: asyncio.Future[Digest] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(path, []).append(answer)
        if self._hashing.waits(path):
            self._hashing.hurry(path)
        elif path not in self._hashing.hashing:
            self._hashing.put(Work(path, Priority.INTERACTIVE, size_bytes=fingerprint.size_bytes), fingerprint)
        return await answer

    def ask_again(self, path: str, fingerprint: Fingerprint) -> None:
        """Have a file read for those who ask, after the queue's own interest in it has ended."""
        if self._asked.get(path):
            self._hashing.put(Work(path, Priority.INTERACTIVE, size_bytes=fingerprint.size_bytes), fingerprint)

    def answer(self, path: str, digest: Digest) -> None:
        """Tell those who asked."""
        for waiting in self._asked.pop(path, ()):
            if not waiting.done():
                waiting.set_result(digest)

    def fail(self, path: str, error: HashError) -> None:
        """Tell those who asked why there is no answer."""
        for waiting in self._asked.pop(path, ()):
            if not waiting.done():
                waiting.set_exception(error)

    def rename(self, old: str, new: str) -> None:
        """Follow the rename of a file."""
        if old in self._asked:
            self._asked.setdefault(new, []).extend(self._asked.pop(old))
