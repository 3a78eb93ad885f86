"""Every importer by the name of its kind."""

from collections.abc import Mapping

from modelkeep.errors import SourceError
from modelkeep.importers.base import Importer
from modelkeep.importers.databases.readers import READERS
from modelkeep.importers.hikaze import HikazeImporter
from modelkeep.importers.sidecars import notes, previews
from modelkeep.importers.sidecars.formats import KINDS
from modelkeep.importers.tools import ToolImporter


def _tool(kind: str, tool: str, beside: str, further: tuple[str, ...] = (), elsewhere: str = "") -> ToolImporter:
    """Return the importer of a tool; `further` are kinds of records beside models that it shares with others."""
    return ToolImporter(kind, tool, beside, frozenset({kind, *further}), elsewhere, READERS.get(kind))


def _database(kind: str, tool: str, elsewhere: str) -> ToolImporter:
    return ToolImporter(kind, tool, elsewhere=elsewhere, reader=READERS[kind])


_OF_PYSSSSS = "STEM.txt, STEM.sha256, STEM/*.txt"
"""Records of one kind, for no word in a text tells for which tool it was written."""

_IMAGES, _TEXTS = (previews.KIND,), (previews.KIND, notes.KIND)

_ALL: tuple[Importer, ...] = (
    HikazeImporter(),
    ToolImporter("sidecars", "any tool", "everything that it keeps beside models", KINDS),
    _tool(
        "lora-manager",
        "LoRA Manager",
        "STEM.metadata.json and previews",
        _IMAGES,
        "its cache (notes, tags, favourites, hashes), recipes, example images and sidecars kept in one place",
    ),
    _tool("civitai-helper", "Civitai Helper and other downloaders", "STEM.civitai.info and previews", _IMAGES),
    _tool(
        "webui",
        "A1111, Forge and Civitai Browser+",
        f"STEM.json, .api_info.json, .html, .description.txt, {_OF_PYSSSSS} and previews",
        _TEXTS,
        "hashes of its caches",
    ),
    _tool("sdnext", "SD.Next", f"STEM.json, {_OF_PYSSSSS} and previews", _TEXTS, "hashes of its cache"),
    _tool("stability-matrix", "StabilityMatrix", "STEM.cm-info.json and previews", _IMAGES),
    _tool("rgthree", "rgthree-comfy", "FULL.rgthree-info.json", (), "answers of Civitai by hash"),
    _tool("pysssss", "ComfyUI-Custom-Scripts", f"{_OF_PYSSSSS} and previews", _IMAGES),
    _tool("model-manager", "ComfyUI-Model-Manager", "STEM.md and previews", _IMAGES),
    _tool("swarmui", "SwarmUI", "STEM.swarm.json"),
    _tool(
        "huggingface",
        "huggingface_hub",
        "notes of downloads (.cache/huggingface/download)",
        (),
        "where the files of its cache come from",
    ),
    _database("invokeai", "InvokeAI", "names, texts, trigger phrases, sources, hashes and cover images"),
    _database("comfyui", "ComfyUI", "tags, texts and hashes of its assets database"),
    _database("lora-sidebar", "ComfyUI LoRA Sidebar", "edited fields, favourites and previews"),
)

IMPORTERS: Mapping[str, Importer] = {importer.kind: importer for importer in _ALL}


def importer_for(kind: str) -> Importer:
    """Return the importer of a kind.

    Raises:
        SourceError: there is none of that name.
    """
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise SourceError(f"{kind!r} is no kind of source; the kinds are: {', '.join(sorted(IMPORTERS))}")
    return importer
