"""Tell what a file's failure means: that there is none, that nobody can tell, or that its root is away."""

import errno
import os
from collections.abc import Iterable

from modelkeep.disk import files
from modelkeep.disk.files import fingerprint_of
from modelkeep.disk.roots import Roots
from modelkeep.domain.naming import Root
from modelkeep.errors import FileChanged, FileVanished, HashCancelled, HashError, RootAway, WorkerDied

AWAY = "the root {root} is not there now: is its drive plugged in and mounted?"

OF_THE_FILE = (FileChanged, HashCancelled, WorkerDied)
"""Failures that say nothing about the root."""


def why_unseen(path: str, roots: Roots) -> HashError | None:
    """Return why no file is seen at a path: it is gone, or its root is; None when one is seen."""
    root = roots.of(path)
    for _ in range(2):  # a root may be away for the moment of the first look, and back when one looks at it
        if fingerprint_of(path) is not None:
            return None
        if root is not None and not roots.is_same(root):
            return away(root)
    return unseen(path)


def why_all_unseen(paths: Iterable[str], roots: Roots) -> dict[str, HashError | None]:
    """Return of each path why no file is seen there, None for one at which one is."""
    return {path: why_unseen(path, roots) for path in paths}


def explained(path: str, error: HashError, roots: Roots) -> HashError:
    """Return what a failure to read a file means: if its root is away, that is no fault of the file."""
    root = roots.of(path)
    if root is None or isinstance(error, OF_THE_FILE) or roots.is_same(root):
        return error
    return away(root)


def away(root: Root) -> RootAway:
    """Return the error of a file whose root is not there."""
    return RootAway(AWAY.format(root=root.path))


def missing(path: str) -> FileVanished:
    """Return the error of a path at which there is no file."""
    return FileVanished(f"there is no file at {path}")


def unseen(path: str) -> HashError:
    """Return the error of a path at which no file is seen: there is none, or nobody can tell."""
    reason = files.why_unseen(path)
    if not reason:
        return missing(path)
    return HashError(f"it is unknown whether its file is there ({reason}): check its folder's rights, or its disk")


def reading_error(path: str, error: OSError) -> HashError:
    """Return what a failure to read a file means, as a sentence."""
    name = os.path.basename(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return missing(path)
    if error.errno == errno.EINVAL:
        return HashError(f"{name} is not a regular file")
    if error.errno in (errno.EACCES, errno.EPERM):
        return HashError(f"{name} may not be read by the daemon's user: check its rights and those of its folders")
    return HashError(f"{name} could not be read: {error.strerror or error}")
