"""`FULL.rgthree-info.json` of rgthree: what its user says, and the answer of Civitai."""

from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import Order, as_json
from modelkeep.exporters.civitai import version_answer
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.merging import filled, without_empty


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
        merged = filled(existing or {}, _ours(model), prefer_ours=order.prefer_ours)
        return as_json(merged, indent=2, ascii_only=True)


def _ours(model: KnownModel) -> JsonObject:
    meaning = model.meaning
    answer = version_answer(model)
    title = " - ".join(filter(None, [meaning.title, meaning.version]))
    return without_empty(
        {
            "name": title,
            "baseModel": meaning.base_model,
            "links": [origin.url for origin in meaning.origins if origin.url],
            "strengthMin": meaning.weight.minimum,
            "strengthMax": meaning.weight.maximum,
            "trainedWords": [{"word": word, "user": True} for word in meaning.trigger_words],
            "userTags": list(meaning.tags),
            "userNote": meaning.notes,
            "sha256": model.sha256,
            "raw": {"civitai": answer} if answer else {},
        }
    )
