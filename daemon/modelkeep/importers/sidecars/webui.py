"""What A1111, Forge, Civitai Helper and Civitai Browser+ keep of a model's user: `STEM.json` and texts."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.knowledge import (
    Grade,
    HashClaim,
    HashKind,
    Meaning,
    SourceRecord,
    Standing,
    Text,
    TextFormat,
    Weight,
)
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.hash_claims import judge_hash
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.model_answer import model_record
from modelkeep.importers.sidecars.reading import as_object, as_text, refusal
from modelkeep.importers.sidecars.record import as_written, has_tags, is_cleaned, model_names, record_of, uncommented
from modelkeep.importers.sidecars.values import list_of, number, object_of, text, texts

KIND = "webui"
_TELLING = frozenset(
    {
        "activation text",
        "preferred weight",
        "negative text",
        "sd version",
        "sd_version_str",
        "vae_te",
        "unpackList",
    }
)
_PLAIN = frozenset({"description", "notes", "vae", "sha256"})
_NEUTRAL = frozenset({"extensions", "modelId", "modelVersionId"})
_HELPER = "sd_civitai_helper"
_WHOLE_PROMPTS = " || "
"""Between words each of which is a prompt with commas of its own."""


def is_user_metadata(value: Mapping[str, Any], *, is_orphan: bool) -> bool:
    """Return whether an object is the user metadata of a model.

    Args:
        value: what `STEM.json` holds.
        is_orphan: no model of that stem is there; many things have a description.
    """
    if value.keys() & _TELLING or _helper(value) or ("modelId" in value and "sha256" in value):
        return True
    is_nothing_else = value.keys() <= _PLAIN | _NEUTRAL
    if value.keys() & _PLAIN:
        return is_nothing_else or not is_orphan
    return "modelId" in value and is_nothing_else and not is_orphan


def _helper(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return object_of(object_of(value.get("extensions")).get(_HELPER))


def user_record(found: FoundSidecar, data: bytes, value: JsonObject, remarks: tuple[str, ...]) -> SourceRecord:
    """Return the record of user metadata."""
    claim, odd = _claim(found, value)
    return record_of(
        found,
        data,
        KIND,
        meaning=_meaning(value),
        owned=_owned(value),
        raw=value,
        claims=claim,
        remarks=(*remarks, *odd),
    )


def _claim(found: FoundSidecar, value: Mapping[str, Any]) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return its hash: in small letters where it was made of the file, of an archive where one was unpacked."""
    stored = value.get("sha256")
    grade = Grade.B if isinstance(stored, str) and stored == stored.lower() else Grade.C
    if list_of(value.get("unpackList")):
        grade = Grade.D
    judged = judge_hash(HashKind.SHA256, stored, grade, model_names(found))
    return ((judged.claim,) if judged.claim else ()), ((judged.remark,) if judged.remark else ())


def _owned(value: Mapping[str, Any]) -> frozenset[str]:
    """Return which fields are its user's words: two extensions put texts of Civitai there."""
    by_extension = bool(_helper(value)) or "modelId" in value
    texts_of_user = {
        name for name in ("description", "notes") if not (by_extension and _is_of_civitai(text(value.get(name))))
    }
    return frozenset({"negative_prompt", "weight", "usage_hint", *texts_of_user})


def _is_of_civitai(value: str) -> bool:
    """Return whether a text that an extension may have put there bears tags, or was made plain by one."""
    return has_tags(value) or is_cleaned(value)


def _meaning(value: Mapping[str, Any]) -> Meaning:
    strength = number(value.get("preferred weight"))
    return Meaning(
        description=as_written(value.get("description")),
        notes=uncommented(value.get("notes")),
        base_model=civitai.base_model(_last_part(value.get("sd version")) or _last_part(value.get("sd_version_str"))),
        usage_hint=_usage_hint(value),
        negative_prompt=text(value.get("negative text")),
        weight=Weight(strength or None),
        trigger_words=_words(text(value.get("activation text"))),
        origins=civitai.origins(value.get("modelId"), value.get("modelVersionId")),
    )


def _last_part(value: object) -> str:
    return text(value).removeprefix("SdVersion.")


def _words(activation: str) -> tuple[str, ...]:
    return texts(activation.split(_WHOLE_PROMPTS if _WHOLE_PROMPTS in activation else ","))


def _usage_hint(value: Mapping[str, Any]) -> str:
    modules = [
        name for name in texts([value.get("vae"), *texts(value.get("vae_te"))]) if name not in ("None", "Automatic")
    ]
    return f"VAE / text encoder: {', '.join(modules)}" if modules else ""


class BrowserPlusFormat:
    """Reads `STEM.api_info.json` of Civitai Browser+: the answer about the model."""

    kinds = frozenset({KIND})
    suffixes = (".api_info.json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, or why it cannot be taken."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        return model_record(found, data, KIND, read.value, read.remarks) if read.value else None


class DescriptionFormat:
    """Reads `STEM.description.txt`, the description of A1111 before 1.5, and the page of Civitai Browser+."""

    kinds = frozenset({KIND})
    suffixes = (".description.txt", ".html")

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return the text; a page, which is made of what the other files say, stands behind all of them."""
        read = as_text(data, found.fallback_encoding)
        value = text(read.value)
        is_page = found.suffix == ".html"
        if not value or (is_page and not found.models):
            return None
        return record_of(
            found,
            data,
            KIND,
            meaning=Meaning(description=Text(value, TextFormat.HTML) if is_page else as_written(value)),
            owned=frozenset() if is_page else frozenset({"description"}),
            standing=Standing.GUESS if is_page else Standing.ANSWER,
            raw={"text": value},
            remarks=read.remarks,
        )
