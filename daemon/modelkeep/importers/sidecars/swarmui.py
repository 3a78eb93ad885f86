"""`STEM.swarm.json` of SwarmUI: what its editor keeps beside a model when it may not write into it."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.header_images import image_in
from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    ImageFile,
    Meaning,
    SourceRecord,
    Weight,
)
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.source_images import embedded_path
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import as_written, record_of
from modelkeep.importers.sidecars.values import number, text, texts

KIND = "swarmui"
_PREFIX = "modelspec."
_ABSENT = ("none", "null")
_IMAGES = ("preview_image", "thumbnail")


class SwarmUiFormat:
    """Reads `STEM.swarm.json`."""

    kinds = frozenset({KIND})
    suffixes = (".swarm.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken; one without its prefix is another tool's."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        said = {key.removeprefix(_PREFIX): value for key, value in read.value.items() if key.startswith(_PREFIX)}
        if not said:
            return None
        judged = [judge_hash(HashKind.TENSORS, said.get(key), Grade.B) for key in ("hash_sha256", "hash")]
        claims: dict[HashClaim, None] = dict.fromkeys(one.claim for one in judged if one.claim)
        return record_of(
            found,
            data,
            KIND,
            meaning=_meaning(said),
            raw=read.value,
            claims=tuple(claims),
            images=tuple(
                ImageFile(embedded_path(found.path, _PREFIX + name)) for name in _IMAGES if image_in(said.get(name))
            ),
            remarks=(*read.remarks, *(one.remark for one in judged if one.remark)),
        )


def _meaning(said: Mapping[str, Any]) -> Meaning:
    value = {key: None if text(held).casefold() in _ABSENT else held for key, held in said.items()}
    tags = value.get("tags")
    return Meaning(
        title=text(value.get("title")),
        description=as_written(value.get("description")),
        author=text(value.get("author")),
        licence=text(value.get("license")),
        usage_hint=text(value.get("usage_hint")),
        weight=Weight(number(value.get("lora_default_weight"))),
        tags=texts(tags.split(",") if isinstance(tags, str) else tags),
        trigger_words=texts(value.get("trigger_phrase")),
    )
