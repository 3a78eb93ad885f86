"""The sample library with the sidecars and databases of other tools, and what its truth says of it."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SIDECAR_SAMPLE = Path(__file__).parent / "samples" / "sidecars"
TRUTH: dict[str, Any] = json.loads((SIDECAR_SAMPLE / "truth.json").read_bytes())


def copied_sidecar_sample(to: Path) -> Path:
    """Copy `models/` and `tools/` of the sample into a folder, with the times that the models had; return it."""
    for name in ("models", "tools"):
        shutil.copytree(SIDECAR_SAMPLE / name, to / name)
    for model in TRUTH["models"]:
        os.utime(to / "models" / model["path"], ns=(model["mtime_ns"], model["mtime_ns"]))
    return to


KINDS = {
    "webui-user-metadata": "webui",
    "text-note": "pysssss",
    "pysssss-hash": "pysssss",
    "other-downloader": "civitai-helper",
}
"""Our kinds of the tools that the truth names otherwise."""

OTHER_SOURCES = {"header", "invokeai", "lora-manager-cache"}
"""Tools of the truth whose words stand in no file beside a model."""

Said = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""Gets the meaning of a record, and the record whole."""


def _meant(field: str, otherwise: Any = "") -> Said:
    return lambda meaning, _: meaning.get(field, otherwise)


def _text(field: str) -> Said:
    return lambda meaning, _: meaning.get(field, {"value": ""})["value"]


def _weight(field: str) -> Said:
    return lambda meaning, _: meaning["weight"][field]


def _raw(field: str) -> Said:
    return lambda _, raw: raw[field]


def _ids(meaning: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, int]:
    origin = meaning["origins"][0]
    ids = {"civitai_model": int(origin["model_id"]), "civitai_version": int(origin["version_id"])}
    # The page that Model Manager keeps names the version too, which the truth leaves out.
    return {"civitai_model": ids["civitai_model"]} if "front_matter" in raw else ids


SAYS: Mapping[str, Said] = {
    "title": _meant("title"),
    "model_name": _raw("ModelName"),
    "version": _meant("version"),
    "description": _text("description"),
    "body": _text("description"),
    "version_description": _text("version_description"),
    "notes": _meant("notes"),
    "tags": _meant("tags", []),
    "trigger_words": _meant("trigger_words", []),
    "activation_text": _raw("activation text"),
    "negative_text": _meant("negative_prompt"),
    "preferred_weight": _weight("strength"),
    "strength": lambda meaning, _: f"{meaning['weight']['strength']:g}",
    "strength_min": _weight("minimum"),
    "strength_max": _weight("maximum"),
    "usage_hint": _meant("usage_hint"),
    "usage_tips": _raw("usage_tips"),
    "base_model": _meant("base_model"),
    "author": _meant("author"),
    "favorite": _meant("favourite", False),
    "source_ids": _ids,
    "source_urls": lambda meaning, _: [origin["url"] for origin in meaning["origins"]],
    "skeleton": _raw("skeleton_file"),
    "commit": lambda meaning, _: meaning["origins"][0]["version_id"],
    "path_in_repo": _raw("path_in_repo"),
}
"""How to find in a record what the truth says of it, by the truth's names."""


def expected_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the truth expects of a record."""
    return {key: value for key, value in entry.items() if key != "tool"}
