"""Every reader of a database by the name of its kind."""

from collections.abc import Mapping

from modelkeep.importers.databases.base import DatabaseReader
from modelkeep.importers.databases.comfyui import ComfyUiReader
from modelkeep.importers.databases.huggingface import HuggingFaceCacheReader
from modelkeep.importers.databases.invokeai import InvokeAiReader
from modelkeep.importers.databases.lora_manager import LoraManagerReader
from modelkeep.importers.databases.lora_sidebar import LoraSidebarReader
from modelkeep.importers.databases.rgthree import RgthreeInfoReader
from modelkeep.importers.databases.webui import SDNEXT, WEBUI

_ALL: tuple[DatabaseReader, ...] = (
    LoraManagerReader(),
    WEBUI,
    SDNEXT,
    InvokeAiReader(),
    ComfyUiReader(),
    RgthreeInfoReader(),
    LoraSidebarReader(),
    HuggingFaceCacheReader(),
)

READERS: Mapping[str, DatabaseReader] = {reader.kind: reader for reader in _ALL}
