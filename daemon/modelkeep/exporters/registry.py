"""Every exporter by the name of its kind."""

from collections.abc import Mapping

from modelkeep.exporters.base import Exporter
from modelkeep.exporters.civitai_helper import CivitaiHelperExporter
from modelkeep.exporters.lora_manager import LoraManagerExporter
from modelkeep.exporters.plain_json import PlainJsonExporter
from modelkeep.exporters.pysssss import PysssssExporter
from modelkeep.exporters.rgthree import RgthreeExporter
from modelkeep.exporters.stability_matrix import StabilityMatrixExporter
from modelkeep.exporters.webui import WebuiExporter

_ALL: tuple[Exporter, ...] = (
    LoraManagerExporter(),
    CivitaiHelperExporter(),
    WebuiExporter(),
    StabilityMatrixExporter(),
    RgthreeExporter(),
    PysssssExporter(),
    PlainJsonExporter(),
)

EXPORTERS: Mapping[str, Exporter] = {exporter.kind: exporter for exporter in _ALL}
