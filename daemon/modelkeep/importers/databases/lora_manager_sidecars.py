"""Sidecars and previews that LoRA Manager keeps in a folder of their own, in folders like those of the models.

What they say is what they would say beside the models; each sidecar names its model by the whole path, which the tool
keeps right, for it finds them by nothing else.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.formats import read_sidecar
from modelkeep.importers.sidecars.walking import sidecars_below

_SUFFIX = ".metadata.json"


def read_sidecars(folder: Path, options: SourceOptions) -> Iterator[SourceRecord | Refusal | None]:
    """Yield what the sidecars below a folder say, and the previews beside them."""
    below = sidecars_below(str(folder.absolute()), options.extensions)
    models: dict[tuple[str, str], str] = {}
    for found in below.found:
        if found.suffix == _SUFFIX:
            said = read_sidecar(found, options.fallback_encoding)
            if isinstance(said, SourceRecord):
                models[_place(found)], _ = local_path(said.raw.get("file_path"), options.path_map)
                said = _attached(said, models[_place(found)])
            yield said
    for found in below.found:
        is_preview = found.rank is not None and _place(found) in models
        preview = read_sidecar(found, options.fallback_encoding) if is_preview else None
        yield _attached(preview, models[_place(found)]) if isinstance(preview, SourceRecord) else preview
    yield from (Refusal("", path, f"the folder cannot be read: {reason}") for path, reason in below.unreadable)


def _place(found: FoundSidecar) -> tuple[str, str]:
    return found.path.rpartition("/")[0], found.stem


def _attached(record: SourceRecord, model: str) -> SourceRecord:
    named = record.original_path if record.original_path != model else ""
    return replace(record, models=(model,) if model else (), original_path=named)
