"""`FULL.modelkeep.json`: all that is known, in words that need no other program.

An object: `format` (`modelkeep`), `version` (1), `sha256`, `size_bytes`, `type`, `digests` by kind, `meaning` (see
`domain.knowledge.Meaning`: without what is not said) and `created_at` (ms since 1970).
"""

from modelkeep.domain.knowledge import meaning_as_json
from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import Order, as_json
from modelkeep.exporters.known import KnownModel

FORMAT, VERSION = "modelkeep", 1


class PlainJsonExporter:
    """Writes `FULL.modelkeep.json`, which is ours: it is written anew."""

    kind = "json"
    description = "FULL.modelkeep.json, all that is known in plain words"
    holds_objects = True
    shows_previews = False

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.name}.modelkeep.json",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file."""
        ours = {
            "format": FORMAT,
            "version": VERSION,
            "sha256": model.sha256,
            "size_bytes": model.size_bytes,
            "created_at": model.created_at,
            "type": model.type,
            "digests": dict(model.digests),
            "meaning": meaning_as_json(model.meaning),
        }
        return as_json({**(existing or {}), **ours}, indent=2, ascii_only=False)
