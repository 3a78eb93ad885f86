"""What outlasts a power cut: the fsync of a file keeps its bytes, and need not keep its name."""

import itertools
import os
from collections.abc import Iterable
from contextlib import suppress
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


def write_durably(path: Path, chunks: Iterable[bytes], *, is_new: bool = False) -> None:
    """Write a file and return when its bytes are on the disk; when that fails, nothing is left of it.

    Args:
        path: where it is written to; for its name to last too, the folder has to be synced.
        chunks: the bytes.
        is_new: nothing may lie there yet.

    Raises:
        FileExistsError: something does.
        OSError: it cannot be written.
    """
    file = path.open("xb" if is_new else "wb")
    try:
        with file:
            file.writelines(chunks)
            file.flush()
            reach("file.sync.before")
            os.fsync(file.fileno())
            reach("file.sync.after")
    except BaseException as error:
        with suppress(OSError):
            path.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # of an open file the system does not say which one it was
        raise


def free_path(folder: Path, name: str) -> Path:
    """Return a path in a folder at which nothing lies, not even a link to nowhere: of that name, or with a number."""
    candidates = (folder / (f"{name}.{number}" if number else name) for number in itertools.count())
    return next(path for path in candidates if not os.path.lexists(path))
