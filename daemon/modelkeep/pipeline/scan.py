"""Walk a folder and list the model files in it."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelkeep.domain.naming import is_model_file
from modelkeep.domain.values import Fingerprint


@dataclass(slots=True)
class Listing:
    """What lies below a folder: model files with their fingerprints, folders, and what could not be read."""

    files: dict[str, Fingerprint] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folder and the reason."""


def walk(folder: str, extensions: Sequence[str]) -> Listing:
    """List the model files below a folder.

    Links to folders are followed, each folder is entered once: a loop of links ends. Folders whose name begins with a
    dot are left out.
    """
    listing = Listing()
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                waiting += _take_entries(entries, extensions, listing)
        except OSError as error:
            listing.unreadable.append((current, error.strerror or str(error)))
            continue
        listing.folders.append(current)
    return listing


def _take_entries(entries: "Iterable[os.DirEntry[str]]", extensions: Sequence[str], listing: Listing) -> list[str]:
    """Note the files among a folder's entries; returns its sub-folders."""
    folders = []
    for entry in entries:
        if is_model_file(entry.name, extensions):
            try:
                status = entry.stat()
            except OSError:  # gone meanwhile, or a link to nowhere
                continue
            if stat.S_ISREG(status.st_mode):
                listing.files[entry.path] = Fingerprint.from_stat(status)
                continue
        if not entry.name.startswith(".") and _is_folder(entry):
            folders.append(entry.path)
    return folders


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
