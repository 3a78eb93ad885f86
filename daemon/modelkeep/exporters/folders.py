"""What lies in the folders to which sidecars are written: which models share a stem, which previews are there."""

import os
from collections.abc import Sequence

from modelkeep.domain.naming import is_model_file

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".bmp", ".mp4", ".webm", ".tiff", ".jp2")
_MARKS = ("", ".preview", ".thumb")


class Folders:
    """Lists each folder once.

    Args:
        extensions: endings of model files.
    """

    def __init__(self, extensions: Sequence[str]) -> None:
        self._extensions = extensions
        self._names: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Return the base names in a folder; none when it cannot be listed."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def others_of_stem(self, folder: str, name: str, stem: str) -> list[str]:
        """Return the other model files of a folder that share the stem of one."""
        models = (each for each in self.names(folder) if is_model_file(each, self._extensions) and each != name)
        return sorted(each for each in models if each.rpartition(".")[0] == stem)

    def preview(self, folder: str, stem: str) -> str:
        """Return the base name of a preview of a stem, empty when it has none, whatever the case of its letters."""
        by_folded = {each.casefold(): each for each in self.names(folder)}
        wanted = (f"{stem}{mark}{suffix}".casefold() for mark in _MARKS for suffix in IMAGE_SUFFIXES)
        return next((by_folded[each] for each in wanted if each in by_folded), "")
