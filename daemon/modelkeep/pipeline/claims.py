"""Judge claims, which came from elsewhere, and doubts about what was read: both are held against the files."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from modelkeep.disk.roots import Roots
from modelkeep.domain.claims import ClaimedImage, Judgement, Reading
from modelkeep.domain.hashing import Digest
from modelkeep.domain.values import PendingImport, Record
from modelkeep.errors import ImageError
from modelkeep.pipeline.jobs import Job
from modelkeep.pipeline.ports import CopiesImages, JudgesClaims


class Claims:
    """Confirms or refutes claims and doubts.

    Args:
        catalogue: where they stand.
        images: copies the image of a model whose claim is refuted.
        record: appends records to the journal.
        roots: the configured ones.
        clock_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        catalogue: JudgesClaims,
        images: CopiesImages,
        record: Callable[[Sequence[Record]], object],
        roots: Roots,
        clock_ms: Callable[[], int],
    ) -> None:
        self._roots = roots
        self._catalogue = catalogue
        self._images = images
        self._record = record
        self._clock_ms = clock_ms

    async def judge(self, job: Job, digest: Digest) -> PendingImport | None:
        """Hold the claims on a file, or a doubt, against its digest; returns the file's row when one is refuted.

        Wherever the file was renamed to since it was queued, it is known by its fingerprint; what nobody claims
        anything of any more is judged by nobody.
        """
        reading = Reading(job.path, digest.sha256, digest.fingerprint, job.claim, job.pending_id)
        judgement = await self._judge(reading)
        while judgement.is_outdated:  # an import, or the owner, changed what is known of it meanwhile
            judgement = await self._judge(reading)
        about = {"path": judgement.path, "found": digest.sha256}
        told: list[Record] = []
        if judgement.confirmed:
            told.append(("claim.confirmed", {**about, "sha256": digest.sha256, "claimed": judgement.confirmed}))
        if judgement.row is not None:
            told += _refuted_records(judgement, judgement.row, digest.sha256)
        self._record(told)
        return judgement.row

    async def _judge(self, reading: Reading) -> Judgement:
        source = await self._catalogue.image_to_follow(reading)
        staged = await asyncio.to_thread(self._copy_image, source) if source is not None else ""
        suffix = Path(staged).suffix

        def place(row: PendingImport) -> None:
            self._images.place_pending(staged, row.image)
            self._images.sync_pending()

        try:
            roots, now_ms = self._roots.configured, self._clock_ms()
            return await self._catalogue.judge_claims(reading, source, suffix, roots, now_ms, place)
        finally:
            if staged:
                self._images.discard([staged])

    def _copy_image(self, source: ClaimedImage) -> str:
        published = self._images.published_path(source.sha256, source.seq, "high")
        try:
            return self._images.stage_copy(published, uuid4().hex)
        except ImageError:  # it is not there: the owner may have removed it meanwhile
            return ""


def _refuted_records(judgement: Judgement, row: PendingImport, found: str) -> list[Record]:
    """Return what the journal says of hashes that a file does not have."""
    about: dict[str, object] = {"path": judgement.path, "pending_id": row.id}
    told: list[Record] = []
    if judgement.displaced:
        cause = "other content was written over it"
        fields = {"sha256": judgement.displaced, "replaced_by": found, "cause": cause}
        told.append(("file.changed", {**about, **fields}))
    refuted = [{**about, "sha256": claim, "claimed": claim, "found": found} for claim in judgement.refuted]
    return [*told, *(("claim.refuted", fields) for fields in refuted)]
