"""`FULL.modelkeep.json`, which this program's own export writes: see `exporters/plain_json.py`."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, SourceRecord, sound_meaning
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.legacy_text import whole_number
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import record_of
from modelkeep.importers.sidecars.values import object_of

KIND = "modelkeep"
_VERSION = 1


class ModelkeepFormat:
    """Reads `FULL.modelkeep.json`."""

    kinds = frozenset({KIND})
    suffixes = (".modelkeep.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        if read.value.get("format") != KIND or read.value.get("version") != _VERSION:
            return refusal(found, f"it is of another version than {_VERSION}, or not modelkeep's")
        try:
            meaning = sound_meaning(object_of(read.value.get("meaning")))
        except ValueError:
            return refusal(found, "its meaning is not as modelkeep writes it")
        return record_of(
            found,
            data,
            KIND,
            size_bytes=whole_number(read.value.get("size_bytes")) or 0,
            meaning=meaning,
            raw=read.value,
            claims=_claims(read.value),
            remarks=read.remarks,
        )


def _claims(value: Mapping[str, Any]) -> tuple[HashClaim, ...]:
    digests = object_of(value.get("digests"))
    said = [(HashKind.SHA256, value.get("sha256")), *((kind, digests.get(str(kind))) for kind in HashKind)]
    judged = (judge_hash(kind, text, Grade.B).claim for kind, text in said)
    return tuple(dict.fromkeys(claim for claim in judged if claim is not None))
