"""`STEM.json`: three tools write three things under this name, and everybody else writes others."""

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.sidecars import civitai_helper, webui
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.model_answer import model_record
from modelkeep.importers.sidecars.reading import as_object, refusal

SDNEXT = "sdnext"
_ORPHAN_BYTES_MAX = 4 * 2**20
"""Without a model of that stem, a larger file is a vocabulary or a workflow."""

_OF_A_VERSION = frozenset({"id", "modelId", "files", "trainedWords"})


class StemJsonFormat:
    """Reads `STEM.json` by what is in it."""

    kinds = frozenset({SDNEXT, webui.KIND, civitai_helper.KIND})
    suffixes = (".json",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says; a broken one is told of only beside a model, and all else is passed by."""
        if not found.models and len(data) > _ORPHAN_BYTES_MAX:
            return None
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault) if found.models and read.is_broken else None
        if isinstance(read.value.get("modelVersions"), list):
            return model_record(found, data, SDNEXT, read.value, read.remarks)
        if read.value.keys() >= _OF_A_VERSION:  # before the others: it has a description too
            return civitai_helper.version_record(found, data, read.value, read.remarks)
        if webui.is_user_metadata(read.value, is_orphan=not found.models):
            return webui.user_record(found, data, read.value, read.remarks)
        return None
