"""Read a model's file once more for its BLAKE3, by which ComfyUI, InvokeAI and Stability Matrix know it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from modelkeep.base.workers import END_SECONDS, WorkerPool
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.roots import Roots
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState, Record
from modelkeep.errors import Conflict, HashCancelled, HashError, NotFound, OutsideRoots, WorkerDied
from modelkeep.pipeline.blake3_worker import read_blake3


class Confirming:
    """Reads files for their BLAKE3, one at a time, when the owner asks for it.

    Args:
        catalogue: keeps what was found.
        roots: no other file is read.
        record: appends records to the journal.
    """

    def __init__(self, catalogue: Catalogue, roots: Roots, record: Callable[[Sequence[Record]], object]) -> None:
        self._catalogue = catalogue
        self._roots = roots
        self._record = record
        self._turn = asyncio.Lock()
        self._worker = WorkerPool(1)
        self._is_over = False

    async def confirm(self, sha256: str) -> None:
        """Read a model's file for its BLAKE3, unless that is known.

        Raises:
            NotFound: there is no such model.
            Conflict: no file of it is there that is surely the one that was read.
            HashError: the file cannot be read, or is another one by now.
            NoWorkers: no process can be started.
        """
        async with self._turn:
            await self._confirm(sha256)

    def stop(self) -> None:
        """Call off what is being read; nothing is read from now on."""
        self._is_over = True
        self._worker.abandon()

    async def _confirm(self, sha256: str) -> None:
        known = await self._catalogue.model(sha256)
        if known is None:
            raise NotFound("There is no model of that hash.")
        if known.content is not None and known.content.blake3:
            return
        place = _place_of(known)
        if self._roots.of(place.path) is None:
            raise OutsideRoots(place.path)
        began = time.monotonic()
        digest, fingerprint = await self._read(place.path)
        if not fingerprint.is_untouched_since(place.fingerprint):
            raise HashError(f"{place.path} is another file by now: it is read again by itself")
        await self._catalogue.keep_blake3(sha256, digest)
        fields = {"path": place.path, "sha256": sha256, "blake3": digest, "bytes": fingerprint.size_bytes}
        self._record([("hash.finished", {**fields, "seconds": round(time.monotonic() - began, 6)})])

    async def _read(self, path: str) -> tuple[str, Fingerprint]:
        if self._is_over:
            raise HashCancelled("modelkeep is stopping")
        try:
            return await self._worker.run(read_blake3, path)
        except WorkerDied as error:
            if self._is_over:
                raise HashCancelled("the reading was called off") from error
            raise
        finally:  # the next one is long in coming
            await asyncio.to_thread(self._worker.abandon, END_SECONDS)


def _place_of(known: ModelDetails) -> Location:
    """Return where a file lies that is surely the one which was read."""
    for place in known.locations:
        if place.state is LocationState.PRESENT and place.is_read:
            return place
    raise Conflict(f"no file of {known.model.name or known.model.sha256[:12]} is there that could be read")
