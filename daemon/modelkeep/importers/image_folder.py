"""Find the images that a legacy source refers to, and nothing outside the folder in which they lie."""

import os
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from modelkeep.importers.sqlite_copy import unreadable


class ImageFolder:
    """The regular files of one folder, listed once: looking up a hundred thousand names costs no system call.

    Args:
        path: the folder.
        names: base names of the files in it.
    """

    def __init__(self, path: Path, names: frozenset[str]) -> None:
        self.path = path
        self._names = names

    @classmethod
    def listed(cls, path: Path, *, must_exist: bool) -> Self:
        """List a folder; one that does not exist is empty unless it must.

        Raises:
            SourceError: it cannot be listed.
        """
        try:
            with os.scandir(path) as entries:
                return cls(path, frozenset(entry.name for entry in entries if _is_inside(entry, path)))
        except FileNotFoundError as error:
            if must_exist:
                raise unreadable(path, error) from error
            return cls(path, frozenset())
        except OSError as error:
            raise unreadable(path, error) from error

    def find(self, reference: str) -> str:
        """Return the base name of the file that a reference (path or URL) means, or empty when it is not there."""
        # Only the last part counts: a reference that climbs (`../../`) finds what lies here or nothing.
        bare = reference.replace("\\", "/").split("?", 1)[0]
        for spelling in (reference, bare, _unquoted(bare), _unquoted(reference)):
            name = spelling.rsplit("/", 1)[-1]
            if name in self._names:
                return name
        return ""


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _is_inside(entry: os.DirEntry[str], folder: Path) -> bool:
    """Return whether an entry is a regular file; a symbolic link counts only when it stays in the folder."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    target = Path(os.path.realpath(entry.path))
    return target.is_file() and target.is_relative_to(os.path.realpath(folder))
