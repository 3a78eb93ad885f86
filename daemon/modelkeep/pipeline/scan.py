"""Walk a folder and list the model files in it."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelkeep.domain.naming import Root, is_hidden_below, is_model_file
from modelkeep.domain.values import Fingerprint


@dataclass(slots=True)
class Listing:
    """What lies below a folder: model files with their fingerprints, folders, and what could not be read."""

    files: dict[str, Fingerprint] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folder and the reason."""


def walk(folder: str, extensions: Sequence[str], root: str | None = None) -> Listing:
    """List the model files below a folder.

    Links to folders are followed where nothing else leads to the folder, each folder is entered once: a loop of links
    ends. Folders whose name begins with a dot are left out.

    Args:
        folder: where to begin.
        extensions: endings of model files.
        root: the root in which the folder lies, when it is not one: the listing is the part of the root's own that
            lies below the folder.
    """
    listing = Listing()
    entered = _identities_above(folder, root or folder)
    # Links wait for all the rest: a folder is told by its own path, and by the same one at every walk.
    waiting, links = [folder], list[str]()
    while waiting or links:
        current = waiting.pop() if waiting else links.pop()
        try:
            status = os.stat(current)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                found, linked = _take_entries(entries, extensions, listing)
        except OSError as error:
            listing.unreadable.append((current, error.strerror or str(error)))
            continue
        listing.folders.append(current)
        waiting += found
        links += [link for link in linked if not _leads_into(link, root or folder)]
        links.sort(reverse=True)
    return listing


def _identities_above(folder: str, root: str) -> set[tuple[int, int]]:
    """Return device and inode of the root and every folder between it and a folder."""
    found: set[tuple[int, int]] = set()
    while folder != root and Root(root).contains(folder):
        folder = os.path.dirname(folder)
        try:
            status = os.stat(folder)
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def _leads_into(link: str, root: str) -> bool:
    """Tell whether a link leads to a folder of the root itself that is not hidden there: it is found at its place."""
    target, base = os.path.realpath(link), os.path.realpath(root)
    return Root(base).contains(target) and not is_hidden_below(os.path.join(target, "file"), base)


def _take_entries(
    entries: "Iterable[os.DirEntry[str]]", extensions: Sequence[str], listing: Listing
) -> tuple[list[str], list[str]]:
    """Note the files among a folder's entries; returns its sub-folders, and its links to folders."""
    folders: list[str] = []
    links: list[str] = []
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
            (links if entry.is_symlink() else folders).append(entry.path)
    return folders, links


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
