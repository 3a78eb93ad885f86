"""`STEM.civitai.info`: the answer about a version, which Civitai Helper and many others read."""

from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import NothingToSay, Order, as_json
from modelkeep.exporters.civitai import version_answer
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.merging import filled, is_empty


class CivitaiHelperExporter:
    """Writes `STEM.civitai.info`."""

    kind = "civitai-helper"
    description = "STEM.civitai.info of Civitai Helper"
    holds_objects = True
    shows_previews = True

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.stem}.civitai.info",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file."""
        answer = version_answer(model)
        if not answer:
            raise NothingToSay("it is not known which version on Civitai it is")
        held = existing or {}
        if not is_empty(held.get("id")) and held["id"] != answer["id"] and not order.prefer_ours:
            raise NothingToSay("the file holds the answer about another version; --prefer modelkeep replaces it")
        return as_json(filled(held, answer, prefer_ours=order.prefer_ours), indent=4, ascii_only=True)
