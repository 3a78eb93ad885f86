"""ComfyUI LoRA Sidebar's folder of what it knows: a folder a LoRA, named by the stem, and a list of favourites.

Two LoRAs of one name share a folder. Of what a folder says only the fields in `user_edits` are the owner's words.
"""

import filecmp
from collections.abc import Iterator
from pathlib import Path

from modelkeep.domain.knowledge import ImageFile, ImageRank, Meaning, SourceRecord, Text, Weight
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.errors import SourceError
from modelkeep.importers.base import SourceContent, SourceOptions
from modelkeep.importers.databases.base import Found
from modelkeep.importers.databases.facts import digest_of
from modelkeep.importers.databases.json_files import read_object, read_object_or_empty
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.values import list_of, number, object_of, text, texts

KIND = "lora-sidebar"
_INFO, _PROCESSED, _FOLDER = "info.json", "processed_loras.json", "loraData"
_PLACEHOLDER = "placeholder.jpeg"
_PREVIEW_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".webm")
_FIELDS = {
    "name": "title",
    "versionName": "version",
    "model_desc": "description",
    "version_desc": "version_description",
    "baseModel": "base_model",
    "reco_weight": "weight",
    "tags": "tags",
    "trained_words": "trigger_words",
}
"""Names of its fields, and ours for them."""

_NOTHING = "Custom Lora"
"""What it writes of a LoRA of which it knows nothing."""


class LoraSidebarReader:
    """Reads `loraData`, given as that folder or the node's own."""

    kind = KIND
    places = "its node's folder (custom_nodes/ComfyUI_LoRA_Sidebar), or loraData in it"

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read the folder at the source; None when there is none."""
        folder = _find(options.source)
        if folder is None:
            return None
        found = Found(KIND)
        processed = read_object_or_empty(folder / _PROCESSED)
        for info in sorted(folder.glob(f"*/{_INFO}")):
            found.add([_record(info, processed, options)])
        return found.content(folder)


def _find(source: Path) -> Path | None:
    for folder in (source, source / _FOLDER):
        if folder.is_dir() and ((folder / _PROCESSED).is_file() or folder.name == _FOLDER):
            return folder
    return None


def _record(info: Path, processed: JsonObject, options: SourceOptions) -> SourceRecord | Refusal:
    try:
        value = read_object(info)
    except SourceError as error:
        return Refusal(info.parent.name, str(info), str(error))
    stem = info.parent.name
    stored = list(dict.fromkeys([*texts(value.get("path")), *_paths_of(stem, processed)]))
    models = tuple(path for text in stored if (path := local_path(text, options.path_map)[0]))
    is_favourite = stem in texts(processed.get("favorites"))
    edited = frozenset(texts(value.get("user_edits")))
    return SourceRecord(
        KIND,
        key=str(info),
        digest=digest_of(value, is_favourite, models),
        models=models,
        original_path=clean(stored[0]) if stored and stored[0] not in models else "",
        stem=stem,
        meaning=_meaning(value, stem, is_favourite),
        owned=frozenset({"notes", "favourite", *(ours for theirs, ours in _FIELDS.items() if theirs in edited)}),
        raw=value,
        images=tuple(_images(info.parent)),
        remarks=("two LoRAs of one name share what it knows",) if len(models) > 1 else (),
    )


def _paths_of(stem: str, processed: JsonObject) -> list[str]:
    entries = map(object_of, list_of(processed.get("loras")))
    return [path for entry in entries if entry.get("filename") == stem for path in texts(entry.get("path"))]


def _meaning(value: JsonObject, stem: str, is_favourite: bool) -> Meaning:
    title = text(value.get("name"))
    return Meaning(
        title="" if title.rpartition(".")[0] == stem or title == stem else title,
        version=text(value.get("versionName")),
        description=civitai.html(value.get("model_desc")),
        version_description=Text()
        if value.get("version_desc") == _NOTHING
        else civitai.html(value.get("version_desc")),
        base_model=civitai.base_model(value.get("baseModel")),
        weight=Weight(number(value.get("reco_weight"))),
        favourite=True if is_favourite else None,
        tags=texts(value.get("tags")),
        trigger_words=texts(value.get("trained_words")),
        origins=civitai.origins(value.get("modelId"), value.get("versionId")),
    )


def _images(folder: Path) -> Iterator[ImageFile]:
    for path in sorted(folder.iterdir(), key=lambda path: (path.stem != "preview", path.name)):
        if path.suffix.lower() in _PREVIEW_SUFFIXES and path.is_file() and not _is_placeholder(path):
            yield ImageFile(str(path), ImageRank.PREVIEW if path.stem == "preview" else ImageRank.EXAMPLE)


def _is_placeholder(path: Path) -> bool:
    """Return whether an image is a copy of the one that stands for models without any."""
    try:
        return path.stem == "preview" and filecmp.cmp(path, path.parent.parent / _PLACEHOLDER, shallow=False)
    except OSError:
        return False
