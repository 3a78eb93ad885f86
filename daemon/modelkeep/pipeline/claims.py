"""Judge claims: hashes that came from elsewhere, held against those that the files have."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from modelkeep.domain.claims import Refuted
from modelkeep.domain.naming import Root
from modelkeep.domain.values import Fingerprint, PendingImport
from modelkeep.errors import PictureError
from modelkeep.pipeline.hash_worker import Digest
from modelkeep.pipeline.intake import Record
from modelkeep.pipeline.jobs import Job


class KeepsClaims(Protocol):
    """What is needed of the catalogue."""

    async def confirm_claim(self, path: str, fingerprint: Fingerprint, now_ms: int) -> None:
        """Note that a claim is true."""

    async def has_claimed_picture(self, sha256: str, path: str) -> bool:
        """Tell whether a model that is known only by a claim has a picture."""

    async def refute_claim(
        self,
        refuted: Refuted,
        picture: str,
        roots: Sequence[Root],
        now_ms: int,
        before_commit: Callable[[PendingImport], None],
    ) -> PendingImport:
        """Take a path from the model that claimed it, and queue its file."""


class CopiesPictures(Protocol):
    """What is needed of the picture store."""

    def published_path(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where a published picture lies."""

    def stage_copy(self, source: Path, stem: str) -> str:
        """Copy a picture into the staging folder; returns its base name."""

    def place_pending(self, staged: str, name: str) -> None:
        """Give a staged copy its name among the pending originals."""

    def sync_pending(self) -> None:
        """Make the names of the pending originals durable."""

    def discard(self, staged: Sequence[str]) -> None:
        """Remove staged files."""


class Claims:
    """Confirms or refutes claims.

    Args:
        catalogue: where they stand.
        pictures: copies the picture of a model whose claim is refuted.
        note: appends records to the journal.
        roots: returns the configured roots.
        clock_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        catalogue: KeepsClaims,
        pictures: CopiesPictures,
        note: Callable[[Sequence[Record]], object],
        roots: Callable[[], Sequence[Root]],
        clock_ms: Callable[[], int],
    ) -> None:
        self._roots = roots
        self._catalogue = catalogue
        self._pictures = pictures
        self._note = note
        self._clock_ms = clock_ms

    async def judge(self, job: Job, digest: Digest) -> PendingImport | None:
        """Hold a claim against the digest of its file; returns the file's row when it is refuted."""
        fields = {"path": job.path, "sha256": job.claim, "claimed": job.claim, "found": digest.sha256}
        if digest.sha256 == job.claim:
            await self._catalogue.confirm_claim(job.path, digest.fingerprint, self._clock_ms())
            self._note([("claim.confirmed", fields)])
            return None
        row = await self._refute(Refuted(job.path, job.claim, digest.sha256, digest.fingerprint))
        self._note([("claim.refuted", {**fields, "pending_id": row.id})])
        return row

    async def _refute(self, refuted: Refuted) -> PendingImport:
        staged = await asyncio.to_thread(self._copy_picture, refuted) if await self._has_picture(refuted) else ""
        suffix = Path(staged).suffix

        def place(row: PendingImport) -> None:
            self._pictures.place_pending(staged, row.image)
            self._pictures.sync_pending()

        try:
            return await self._catalogue.refute_claim(refuted, suffix, self._roots(), self._clock_ms(), place)
        finally:
            if staged:
                self._pictures.discard([staged])

    async def _has_picture(self, refuted: Refuted) -> bool:
        return await self._catalogue.has_claimed_picture(refuted.claimed, refuted.path)

    def _copy_picture(self, refuted: Refuted) -> str:
        source = self._pictures.published_path(refuted.claimed, 0, "high")
        try:
            return self._pictures.stage_copy(source, uuid4().hex)
        except PictureError:  # it is not there: the owner may have removed it meanwhile
            return ""
