"""Where LoRA Manager keeps what does not lie beside models: what its settings name, and nothing else of them.

The settings hold keys and passwords too; only the named keys are looked at.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelkeep.domain.legacy import Refusal
from modelkeep.domain.naming import PathMap
from modelkeep.errors import SourceError
from modelkeep.importers.databases.json_files import read_object
from modelkeep.importers.legacy_path import local_path
from modelkeep.importers.sidecars.values import object_of, texts
from modelkeep.importers.sqlite_copy import unreadable

RECIPE_SUFFIX = ".recipe.json"
IS_HASH = re.compile(r"[0-9a-fA-F]{64}")
_SETTINGS = "settings.json"
_SIDECARS, _SIDECAR_MARK = "sidecars", ".lm-sidecar-roots.json"
_CACHE = ("cache/model", "model", "")
_PARTS_MAX = 64


@dataclass(slots=True)
class LoraManagerPlaces:
    """What of LoRA Manager lies at a source; every path is of this machine."""

    caches: list[Path] = field(default_factory=list)
    recipes: list[Path] = field(default_factory=list)
    examples: list[Path] = field(default_factory=list)
    sidecars: list[Path] = field(default_factory=list)
    """Folders in which sidecars of all models lie, instead of beside them."""

    unreadable: list[Refusal] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it lies there."""
        return not (self.caches or self.recipes or self.examples or self.sidecars or self.unreadable)


def find_places(source: Path, path_map: PathMap) -> LoraManagerPlaces:
    """Return what lies at a source: a cache, or a folder of settings, recipes, example images or sidecars."""
    places = LoraManagerPlaces()
    if source.suffix == ".sqlite" and source.is_file():
        places.caches.append(source)
        return places
    if not source.is_dir():
        return places
    places.caches += _caches(source)
    _add_pictures(source, places)
    places.sidecars += [folder for folder in (source, source / _SIDECARS) if (folder / _SIDECAR_MARK).is_file()]
    if (source / _SETTINGS).is_file():
        _add_named(source / _SETTINGS, path_map, places)
    return places


def _caches(folder: Path) -> list[Path]:
    for place in _CACHE:
        found = sorted(path for path in (folder / place).glob("*.sqlite") if path.is_file())
        if found:
            return found
    return []


def _add_named(settings: Path, path_map: PathMap, places: LoraManagerPlaces) -> None:
    try:
        values = read_object(settings)
    except SourceError as error:
        places.unreadable.append(Refusal("", str(settings), str(error)))
        return
    for folder in _local(texts(values.get("sidecar_storage_path")), path_map):
        if os.path.isdir(folder) and folder not in places.sidecars:
            places.sidecars.append(folder)
    for scope in _scopes(values):
        recipes = list(texts(scope.get("recipes_path"))) or [f"{root}/recipes" for root in _lora_roots(scope)[:1]]
        for folder in _local([*recipes, *texts(scope.get("example_images_path"))], path_map):
            _add_pictures(folder, places)


def _add_pictures(folder: Path, places: LoraManagerPlaces) -> None:
    if not os.path.isdir(folder):
        return
    try:
        parts = sorted(folder.iterdir())[:_PARTS_MAX]
    except OSError as error:
        places.unreadable.append(Refusal("", str(folder), str(unreadable(folder, error))))
        return
    if folder not in places.recipes and any(folder.glob(f"*{RECIPE_SUFFIX}")):
        places.recipes.append(folder)
    # With several libraries each has a folder of its own below.
    for candidate in (folder, *parts):
        if candidate not in places.examples and os.path.isdir(candidate) and _holds_hashes(candidate):
            places.examples.append(candidate)


def _holds_hashes(folder: Path) -> bool:
    try:
        return any(IS_HASH.fullmatch(inner.name) and inner.is_dir() for inner in folder.iterdir())
    except OSError:
        return False


def _scopes(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield values
    libraries = values.get("libraries")
    if isinstance(libraries, dict):
        yield from (library for library in libraries.values() if isinstance(library, dict))


def _lora_roots(scope: Mapping[str, Any]) -> tuple[str, ...]:
    return texts(object_of(scope.get("folder_paths")).get("loras"))


def _local(stored: Iterable[str], path_map: PathMap) -> Iterator[Path]:
    for path in stored:
        found, _ = local_path(path, path_map)
        if found:
            yield Path(found)
