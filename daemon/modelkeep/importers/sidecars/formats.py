"""Every format of files beside models, and what one such file says."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from modelkeep.base.persistence import unforeseen
from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.sidecars.base import FoundSidecar, SidecarFormat
from modelkeep.importers.sidecars.civitai_helper import CivitaiHelperFormat
from modelkeep.importers.sidecars.finding import find_sidecars
from modelkeep.importers.sidecars.huggingface import DownloadFormat
from modelkeep.importers.sidecars.lora_manager import LoraManagerFormat
from modelkeep.importers.sidecars.model_manager import ModelManagerFormat
from modelkeep.importers.sidecars.modelkeep import ModelkeepFormat
from modelkeep.importers.sidecars.notes import HashFormat, NoteFormat
from modelkeep.importers.sidecars.previews import PreviewFormat, bytes_of_preview
from modelkeep.importers.sidecars.reading import content_of, open_beside, refusal
from modelkeep.importers.sidecars.rgthree import RgthreeFormat
from modelkeep.importers.sidecars.stability_matrix import StabilityMatrixFormat
from modelkeep.importers.sidecars.stem_json import StemJsonFormat
from modelkeep.importers.sidecars.swarmui import SwarmUiFormat
from modelkeep.importers.sidecars.webui import BrowserPlusFormat, DescriptionFormat

FORMATS: Sequence[SidecarFormat] = (
    ModelkeepFormat(),
    LoraManagerFormat(),
    CivitaiHelperFormat(),
    StemJsonFormat(),
    BrowserPlusFormat(),
    DescriptionFormat(),
    StabilityMatrixFormat(),
    SwarmUiFormat(),
    RgthreeFormat(),
    NoteFormat(),
    HashFormat(),
    ModelManagerFormat(),
    DownloadFormat(),
    PreviewFormat(),
)

KINDS = frozenset().union(*(known.kinds for known in FORMATS))
"""Kinds of records that files beside models give."""

_BY_SUFFIX: Mapping[str, SidecarFormat] = {suffix: known for known in FORMATS for suffix in known.suffixes}


def find(
    folder: str, names: Collection[str], extensions: Sequence[str], names_above: Collection[str] = ()
) -> list[FoundSidecar]:
    """Return the files of a folder that belong to models, see `find_sidecars`."""
    return find_sidecars(folder, names, extensions, _BY_SUFFIX, names_above)


def kinds_of(found: FoundSidecar) -> frozenset[str]:
    """Return the kinds of records that a file may give, by its name alone."""
    return _BY_SUFFIX[found.suffix].kinds


def read_sidecar(found: FoundSidecar, fallback_encoding: str = FALLBACK_ENCODING) -> SourceRecord | Refusal | None:
    """Read a file and return what it says, why it cannot be taken, or None when it is none of ours."""
    try:
        descriptor = open_beside(found)
        data = bytes_of_preview(found, descriptor) if found.rank else content_of(descriptor)
    except OSError as error:
        return refusal(found, f"it cannot be read: {error.strerror or error}")
    try:
        return _BY_SUFFIX[found.suffix].read(replace(found, fallback_encoding=fallback_encoding), data)
    except MemoryError:
        raise
    except Exception as error:  # nobody foresaw it: it must cost no other file anything
        return refusal(found, unforeseen(error))
