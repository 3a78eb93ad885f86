"""`FULL.rgthree-info.json` of rgthree: what its user says.

Its `raw` is left to it: where it holds an answer of Civitai, it never asks for one again, nor for its images.
"""

from typing import Any

from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import Order, as_json
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.merging import filled, without_empty, without_refuted


class RgthreeExporter:
    """Writes `FULL.rgthree-info.json`."""

    kind = "rgthree"
    description = "FULL.rgthree-info.json of rgthree"
    holds_objects = True
    shows_previews = False

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.name}.rgthree-info.json",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file."""
        held = without_refuted(existing or {}, {"sha256": model.sha256})
        merged = filled(held, _ours(model), prefer_ours=order.prefer_ours)
        if isinstance(words := held.get("trainedWords"), list) and all(map(_is_counted, words)):
            merged["trainedWords"] = _with_ours(words, model.meaning.trigger_words)
        return as_json(merged, indent=2, ascii_only=True)


def _is_counted(word: Any) -> bool:
    """Return whether only the training data tells a word: the tool itself noted it."""
    return isinstance(word, dict) and bool(word.get("metadata")) and not (word.get("civitai") or word.get("user"))


def _with_ours(counted: list[JsonObject], words: tuple[str, ...]) -> list[JsonObject]:
    held = [word.get("word") for word in counted]
    marked = [{**word, "user": True} if word.get("word") in words else word for word in counted]
    return marked + [{"word": word, "user": True} for word in words if word not in held]


def _ours(model: KnownModel) -> JsonObject:
    meaning = model.meaning
    version = f" - {meaning.version}" if meaning.title and meaning.version else ""
    return without_empty(
        {
            "name": meaning.title.removesuffix(version) + version,
            "baseModel": meaning.base_model,
            "links": [origin.url for origin in meaning.origins if origin.url],
            "strengthMin": meaning.weight.minimum,
            "strengthMax": meaning.weight.maximum,
            "trainedWords": [{"word": word, "user": True} for word in meaning.trigger_words],
            "userTags": list(meaning.tags),
            "userNote": meaning.notes,
            "sha256": model.sha256,
        }
    )
