"""Folders and names that outlast a power cut: the fsync of a file keeps its bytes, and need not keep its name."""

import os
from pathlib import Path

from modelkeep.base.failpoints import reach


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, if need be with those above it, and return when its name is on the disk."""
    # One that is there is synced as well: who made it may have been killed before that.
    missing = [each for each in (folder, *folder.parents) if not each.exists()] or [folder]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        reach("folder.made")
        sync_folder(each.parent)
