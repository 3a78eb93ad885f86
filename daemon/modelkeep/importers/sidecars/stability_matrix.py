"""`STEM.cm-info.json` of StabilityMatrix: what it downloaded, with a title of the user's own."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, Origin, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import CIVITAI_KINDS, judge_hash
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.values import number, object_of, text, texts

KIND = "stability-matrix"
_IDS = ("ModelId", "VersionId", "RemoteFileId")
_TELLING = frozenset({*_IDS, "ModelName", "VersionName", "Hashes", "UserTitle"})
_OF_CIVITAI = (None, 0, 2)
"""`Source` of what Civitai or its archive told; its other sources have numbers of their own."""


class StabilityMatrixFormat:
    """Reads `STEM.cm-info.json`, as strictly as the tool itself."""

    kinds = frozenset({KIND})
    suffixes = (".cm-info.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        if not read.value.keys() & _TELLING:
            return None
        faults = _faults(read.value)
        if faults:
            return refusal(found, f"StabilityMatrix itself could not read it: {', '.join(faults)}")
        claims, odd = _claims(found, object_of(read.value.get("Hashes")))
        owned = {"usage_hint", *({"title"} if text(read.value.get("UserTitle")) else ())}
        return record_of(
            found,
            data,
            KIND,
            meaning=_meaning(read.value),
            owned=frozenset(owned),
            raw=read.value,
            claims=claims,
            remarks=(*read.remarks, *odd),
        )


def _faults(value: Mapping[str, Any]) -> list[str]:
    faults = [f"{key} is no whole number" for key in _IDS if not _is_id(value.get(key))]
    return faults + (["Hashes is no object"] if not isinstance(value.get("Hashes", {}), dict) else [])


def _is_id(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _meaning(value: JsonObject) -> Meaning:
    return Meaning(
        title=text(value.get("UserTitle")) or text(value.get("ModelName")),
        version=text(value.get("VersionName")),
        description=civitai.html(value.get("ModelDescription")),
        version_description=civitai.html(value.get("VersionDescription")),
        base_model=civitai.base_model(value.get("BaseModel")),
        author=text(value.get("AuthorUsername")),
        usage_hint=_usage_hint(object_of(value.get("InferenceDefaults"))),
        tags=texts(value.get("Tags")),
        trigger_words=texts(value.get("TrainedWords")),
        origins=_origins(value),
    )


def _origins(value: Mapping[str, Any]) -> tuple[Origin, ...]:
    of_civitai = value.get("Source") in _OF_CIVITAI
    origins = civitai.origins(value.get("ModelId"), value.get("VersionId")) if of_civitai else ()
    url = text(value.get("SourceUrl"))
    return origins + ((Origin("url", url=url),) if url else ())


def _usage_hint(defaults: Mapping[str, Any]) -> str:
    names = [text(object_of(defaults.get(key)).get("Name")) for key in ("Sampler", "Scheduler")]
    steps, scale, width, height = (number(defaults.get(key)) for key in ("Steps", "CfgScale", "Width", "Height"))
    said = [*filter(None, names), f"{steps:g} steps" if steps else "", f"cfg {scale:g}" if scale else ""]
    return ", ".join(filter(None, [*said, f"{width:g}x{height:g}" if width and height else ""]))


def _claims(found: FoundSidecar, hashes: Mapping[str, Any]) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return its hashes: in capitals where Civitai told them, else made of these bytes."""
    judged = [
        judge_hash(kind, value, _grade(kind, value), model_names(found))
        for key, value in hashes.items()
        if (kind := CIVITAI_KINDS.get(key.casefold())) is not None
    ]
    return tuple(one.claim for one in judged if one.claim), tuple(one.remark for one in judged if one.remark)


def _grade(kind: HashKind, value: object) -> Grade:
    return Grade.B if kind is HashKind.BLAKE3 and isinstance(value, str) and value == value.lower() else Grade.C
