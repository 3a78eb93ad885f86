"""`STEM.sha256` of ComfyUI-Custom-Scripts, and `STEM.txt` for those who want their notes there."""

from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import NothingToSay, Order
from modelkeep.exporters.known import KnownModel


class PysssssExporter:
    """Writes the hash, and the notes on request; of both a file that is there is only replaced on request."""

    kind = "pysssss"
    description = "STEM.sha256 of ComfyUI-Custom-Scripts, with --texts its notes in STEM.txt too"
    holds_objects = False
    shows_previews = False

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:
        """Return the base names of the files of a model."""
        return (f"{model.stem}.sha256", *((f"{model.stem}.txt",) if order.with_texts else ()))

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of one of its files."""
        if name.endswith(".sha256"):
            return model.sha256.encode("ascii")
        if not model.meaning.notes:
            raise NothingToSay("nobody wrote notes")
        return model.meaning.notes.encode("utf-8", "replace")
