"""`STEM.metadata.json` of LoRA Manager, with all eight fields without which it hides a model."""

import json
from collections.abc import Mapping
from typing import Any

from modelkeep.domain.knowledge import HashKind
from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import Order, as_json
from modelkeep.exporters.civitai import version_answer
from modelkeep.exporters.known import HUGGING_FACE, KnownModel
from modelkeep.exporters.merging import filled, is_empty, without_empty, without_refuted
from modelkeep.exporters.texts import as_html

_REQUIRED = ("file_name", "model_name", "file_path", "size", "modified", "sha256", "base_model", "preview_url")
_UNKNOWN_BASE, _NO_TIPS = "Unknown", "{}"


class LoraManagerExporter:
    """Writes `STEM.metadata.json`."""

    kind = "lora-manager"
    description = "STEM.metadata.json of LoRA Manager"
    holds_objects = True
    shows_previews = True

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.stem}.metadata.json",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file."""
        ours = _ours(model, order)
        held = _cleared(existing or {}, model)
        answer = held.get("civitai")
        if isinstance(answer, dict) and not is_empty(answer.get("id")) and answer["id"] != ours["civitai"].get("id"):
            # Two answers are never mixed; words of the user have their place in either.
            ours["civitai"] = {"trainedWords": ours["trainedWords"]} if ours["trainedWords"] else {}
        merged = filled(held, ours, prefer_ours=order.prefer_ours)
        merged |= {key: ours[key] for key in _REQUIRED if merged[key] is None}
        if merged["sha256"] == model.sha256:
            merged["hash_status"] = "completed"
        return as_json(merged, indent=2, ascii_only=False)


def _cleared(existing: Mapping[str, Any], model: KnownModel) -> JsonObject:
    """Return what a file says, with what its program writes of a model of which it knows nothing as nothing."""
    cleared = without_refuted(existing, {"sha256": model.sha256, "autov3": model.digest(HashKind.AUTOV3)})
    for key, nothing in (("model_name", model.stem), ("base_model", _UNKNOWN_BASE), ("usage_tips", _NO_TIPS)):
        if cleared.get(key) == nothing:
            cleared[key] = ""
    if cleared.get("favorite") is False:
        cleared["favorite"] = None
    if is_empty(cleared.get("sha256")) or cleared.get("hash_status") == "pending":
        cleared |= {"sha256": "", **({"hash_status": ""} if "hash_status" in cleared else {})}
    return cleared


def _ours(model: KnownModel, order: Order) -> JsonObject:
    meaning = model.meaning
    words = list(meaning.trigger_words)
    answer = version_answer(model) or ({"trainedWords": words} if words else {})
    huggingface = (origin.url for origin in meaning.origins if origin.kind == HUGGING_FACE)
    return {
        "file_name": model.stem,
        "model_name": model.title,
        "file_path": model.path,
        "size": model.size_bytes,
        "modified": model.created_at / 1000,
        "sha256": model.sha256,
        "base_model": meaning.base_model or _UNKNOWN_BASE,
        "preview_url": order.preview,
        "preview_nsfw_level": 0,
        "notes": meaning.notes,
        "from_civitai": True,  # no would say that Civitai was asked in vain, and keep it from being asked again
        "civitai": answer,
        "tags": list(meaning.tags),
        "modelDescription": as_html(meaning.description),
        "favorite": meaning.favourite is True,
        "hash_status": "completed",
        "trainedWords": words,
        "usage_tips": _tips(model) or _NO_TIPS,
        **without_empty({"autov3": model.digest(HashKind.AUTOV3), "hf_url": next(huggingface, "")}),
    }


def _tips(model: KnownModel) -> str:
    """Return what it calls usage tips, a text that holds JSON."""
    weight = model.meaning.weight
    said = {"strength": weight.strength, "strength_min": weight.minimum, "strength_max": weight.maximum}
    known = without_empty(said)
    return json.dumps(known) if known else ""
