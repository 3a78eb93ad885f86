"""Walk a library and find what lies beside its models."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modelkeep.disk.walk import Tour
from modelkeep.domain.naming import is_model_file
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.formats import find

_HIDDEN = (".cache/huggingface/download", ".huggingface/download")
"""Folders of huggingface_hub, which hides them in the folder to which it downloads."""


@dataclass(slots=True)
class Below:
    """What lies beside the models below a folder, and the folders that could not be read, with the reason."""

    found: list[FoundSidecar] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def sidecars_below(
    folder: str, extensions: Sequence[str], place_of: Callable[[str], str] = lambda folder: folder
) -> Below:
    """Find the files beside models below a folder.

    Args:
        folder: absolute path, the root of a library or a part of one.
        extensions: endings of model files.
        place_of: tells where the models of a folder lie; they may be elsewhere than what was kept beside them.
    """
    below = Below()
    models: dict[str, list[str]] = {}
    tour = Tour(folder, folder)
    for current, entries in tour:
        names = [entry.name for entry in entries if _is_file(entry)]
        names += _models_in(place, extensions) if (place := place_of(current)) != current else []
        models[current] = [name for name in names if is_model_file(name, extensions)]
        below.found += find(current, {*names}, extensions, models.get(os.path.dirname(current), ()))
        if any(entry.name.startswith(".") for entry in entries):
            for hidden, notes in download_notes(current):
                below.found += find(hidden, notes, extensions)
    below.unreadable = [(path, error.strerror or str(error)) for path, error in tour.unreadable]
    return below


def _models_in(folder: str, extensions: Sequence[str]) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if is_model_file(name, extensions)]
    except OSError:
        return []


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def download_notes(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders in which huggingface_hub keeps its notes of what it downloaded to one, with their files."""
    for hidden in _HIDDEN:
        for current, _, names in os.walk(os.path.join(folder, hidden)):
            yield current, names
