"""What lies in the folders to which sidecars are written: which models share a stem, which previews are there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelkeep.domain.naming import is_model_file

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".bmp", ".mp4", ".webm", ".tiff", ".jp2")
_MARKS = ("", ".preview", ".thumb")


@dataclass(frozen=True, slots=True)
class _Folder:
    """The names in a folder: as they are by how they read whatever the case, and its models by their stem."""

    folded: dict[str, str] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=dict)


class Folders:
    """Lists each folder once.

    Args:
        extensions: endings of model files.
    """

    def __init__(self, extensions: Sequence[str]) -> None:
        self._extensions = extensions
        self._known: dict[str, _Folder] = {}

    def others_of_stem(self, folder: str, name: str, stem: str) -> list[str]:
        """Return the other model files of a folder that share the stem of one."""
        return [each for each in self._listed(folder).models.get(stem, ()) if each != name]

    def preview(self, folder: str, stem: str) -> str:
        """Return the base name of a preview of a stem, empty when it has none, whatever the case of its letters."""
        folded = self._listed(folder).folded
        wanted = (f"{stem}{mark}{suffix}".casefold() for mark in _MARKS for suffix in IMAGE_SUFFIXES)
        return next((folded[each] for each in wanted if each in folded), "")

    def _listed(self, folder: str) -> _Folder:
        """Return what lies in a folder; nothing when it cannot be listed."""
        if folder not in self._known:
            found = self._known[folder] = _Folder()
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            for name in names:
                found.folded[name.casefold()] = name
                if is_model_file(name, self._extensions):
                    found.models.setdefault(name.rpartition(".")[0], []).append(name)
        return self._known[folder]
