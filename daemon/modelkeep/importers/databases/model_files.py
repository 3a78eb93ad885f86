"""The model files that a name without a folder may mean: all of that name below some folders."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep.disk.walk import walk
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.importers.databases.facts import stem_of

EXTENSIONS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file on this machine."""

    path: str
    fingerprint: Fingerprint


class ModelFiles:
    """Finds model files below folders by the end of their path, or by their name without the extension.

    Args:
        folders: where models lie; those that do not exist hold none.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        known = {str(folder): walk(str(folder), EXTENSIONS).files for folder in _outermost(folders)}
        self._by_stem: dict[str, dict[str, ModelFile]] = defaultdict(dict)
        self._by_name: dict[str, dict[str, ModelFile]] = defaultdict(dict)
        for path, fingerprint in (item for files in known.values() for item in files.items()):
            file = ModelFile(path, fingerprint)
            self._by_stem[stem_of(path)][path] = file
            self._by_name[path.rpartition("/")[2]][path] = file

    def ending_with(self, relative: str) -> list[ModelFile]:
        """Return the files whose path ends with a relative one."""
        parts = relative.replace("\\", "/").strip("/")
        found = self._by_name.get(parts.rpartition("/")[2], {})
        return [file for path, file in sorted(found.items()) if path.endswith(f"/{parts}")]

    def with_stem(self, stem: str) -> list[ModelFile]:
        """Return the files of a name, whatever their extension."""
        return [file for _, file in sorted(self._by_stem.get(stem, {}).items())]


def _outermost(folders: Iterable[Path]) -> Sequence[Path]:
    distinct = sorted({folder for folder in folders if os.path.isdir(folder)})
    return [folder for folder in distinct if not any(other in folder.parents for other in distinct)]
