"""`STEM.metadata.json` of LoRA Manager: its user's notes and favourites, and the answer of Civitai."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelkeep.domain.knowledge import Grade, HashKind, Meaning, Origin, SourceRecord, Weight
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.legacy_text import whole_number
from modelkeep.importers.loose_json import load_json
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import model_names, path_elsewhere, record_of
from modelkeep.importers.sidecars.values import list_of, number, object_of, text, texts

KIND = "lora-manager"
OWNED = frozenset({"notes", "favourite", "weight", "usage_hint"})
"""Fields that only its user fills."""

_TYPES = {
    "file_name": str,
    "model_name": str,
    "file_path": str,
    "sha256": str,
    "base_model": str,
    "preview_url": str,
    "size": int | float,
    "modified": int | float | None,  # NaN has become null
}
_NEEDED = ("file_name", "model_name", "file_path", "sha256")


class LoraManagerFormat:
    """Reads `STEM.metadata.json`."""

    kinds = frozenset({KIND})
    suffixes = (".metadata.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken; one without any of its fields is another tool's."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        if not read.value.keys() & _TYPES.keys():
            return None
        faults = _faults(read.value)
        if faults:
            return refusal(found, f"required fields are missing or of the wrong type: {', '.join(faults)}")
        return _record(found, data, read.value, read.remarks)


def _faults(value: Mapping[str, Any]) -> list[str]:
    wrong = [key for key, type_ in _TYPES.items() if key in value and not isinstance(value[key], type_)]
    return wrong + [key for key in _NEEDED if key not in value]


def _record(found: FoundSidecar, data: bytes, value: JsonObject, remarks: tuple[str, ...]) -> SourceRecord:
    answer = object_of(value.get("civitai"))
    grade = _grade(answer)
    names = model_names(found)
    judged = (
        judge_hash(HashKind.SHA256, value["sha256"], grade, names),
        judge_hash(HashKind.AUTOV3, value.get("autov3"), max(grade, Grade.C), names),
    )
    excluded = ("LoRA Manager leaves this model out of its list",) if value.get("exclude") is True else ()
    return record_of(
        found,
        data,
        KIND,
        original_path=path_elsewhere(found, value["file_path"]),
        size_bytes=whole_number(value.get("size")) or 0,
        meaning=meaning_of(value),
        owned=OWNED,
        updated_at=civitai.updated_at(answer),
        raw=value,
        claims=tuple(found.claim for found in judged if found.claim),
        remarks=(*remarks, *(found.remark for found in judged if found.remark), *excluded),
        versions=civitai.several_files(answer, names),
    )


def _grade(answer: Mapping[str, Any]) -> Grade:
    """Return what its hash is worth: made of the file, told by an answer, or told for one of several files."""
    if not answer.get("id"):
        return Grade.B
    return Grade.C if len(list_of(answer.get("files"))) < 2 else Grade.D


def meaning_of(value: Mapping[str, Any]) -> Meaning:
    """Return what its fields mean, whether they stand in a sidecar or in a row of its cache."""
    answer = object_of(value.get("civitai"))
    model = object_of(answer.get("model"))
    said = civitai.version_meaning(answer, model, answer.get("creator"))
    name = text(value.get("model_name"))
    own = list_of(answer.get("customImages"))
    page = text(value.get("hf_url"))
    return replace(
        said,
        # The name of a model of which it knows nothing is that of its file.
        title=name if answer or name != text(value.get("file_name")) else "",
        description=civitai.html(value.get("modelDescription") or model.get("description")),
        notes=text(value.get("notes")),
        base_model=civitai.base_model(value.get("base_model")) or said.base_model,
        tags=texts(value.get("tags")),
        trigger_words=texts([*said.trigger_words, *texts(value.get("trainedWords"))]),
        favourite=value.get("favorite") is True or None,
        origins=said.origins + ((Origin("huggingface", url=page),) if page else ()),
        examples=said.examples + civitai.examples(own),
        **_usage(value.get("usage_tips")),
    )


def _usage(value: object) -> dict[str, Any]:
    """Return what its usage tips say, a text that holds JSON."""
    tips = object_of(load_json(value).value if isinstance(value, str) else value)
    hints = {"clip skip": tips.get("clip_skip"), "clip strength": tips.get("clip_strength")}
    hint = ", ".join(f"{name} {found:g}" for name, said in hints.items() if (found := number(said)) is not None)
    return {"weight": weight_of(tips), "usage_hint": hint}


def weight_of(tips: Mapping[str, Any]) -> Weight:
    """Return the strength in usage tips."""
    low, _, high = text(tips.get("strength_range")).partition("-")
    minimum, maximum = number(tips.get("strength_min")), number(tips.get("strength_max"))
    return Weight(
        number(tips.get("strength")),
        number(low) if minimum is None else minimum,
        number(high) if maximum is None else maximum,
    )
