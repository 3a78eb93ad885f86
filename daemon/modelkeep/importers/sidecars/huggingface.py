"""What huggingface_hub notes of each file that it downloads to a folder: `.cache/huggingface/download/….metadata`."""

import re

from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, Origin, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.legacy_text import clean, milliseconds
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.finding import DOWNLOAD_RECORD, path_in_repository
from modelkeep.importers.sidecars.reading import as_text, refusal
from modelkeep.importers.sidecars.record import model_names, record_of

KIND = "huggingface"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class DownloadFormat:
    """Reads the note of a download: three lines, which are the commit, the ETag and the time."""

    kinds = frozenset({KIND})
    suffixes = (DOWNLOAD_RECORD,)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a note says, or why it cannot be taken; the repository's name stands nowhere."""
        lines = as_text(data[:2000]).value.split()
        if len(lines) != 3 or not _COMMIT.fullmatch(lines[0]):
            return refusal(found, "it is not the commit, the ETag and the time that huggingface_hub writes")
        commit, etag, time = lines
        claims, remarks = etag_claim(etag, model_names(found))
        path = path_in_repository(found.path)
        return record_of(
            found,
            data,
            KIND,
            meaning=Meaning(origins=(Origin(KIND, version_id=commit),)),
            updated_at=milliseconds(time) or 0,
            raw={"commit": commit, "etag": etag, "timestamp": time, "path_in_repo": clean(path)},
            claims=claims,
            remarks=remarks,
        )


def etag_claim(etag: str, names: tuple[str, ...]) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return the hash that an ETag is: that of a large file; a small file has one of Git."""
    if len(etag) != 64:
        return (), ()
    judged = judge_hash(HashKind.SHA256, etag, Grade.C, names)
    return ((judged.claim,) if judged.claim else ()), ((judged.remark,) if judged.remark else ())
