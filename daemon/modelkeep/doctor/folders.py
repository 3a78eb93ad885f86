"""Look at a root as far as a few seconds allow: its folders, what may not be read, what kind of file system it is."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from modelkeep.base.patience import within
from modelkeep.disk.mounts import file_system_of, is_network_file_system
from modelkeep.disk.walk import Tour


@dataclass(frozen=True, slots=True)
class RootLook:
    """What was seen of a root.

    `fault` says why it cannot be followed, empty when it can. `is_complete` is false when the time was over before
    the last folder; `folders` and `unreadable` (each with the reason) are then those seen until then.
    """

    path: str
    fault: str = ""
    file_system: str = ""
    is_network: bool = False
    ignores_case: bool = False
    folders: int = 0
    unreadable: tuple[str, ...] = ()
    is_complete: bool = True


def look_at_root(path: str, seconds: float, look: Callable[[str, float], RootLook] | None = None) -> RootLook:
    """Return what can be seen of a root; one on a dead mount answers nobody, and is not waited for.

    Args:
        path: the root.
        seconds: how long to go on looking for folders.
        look: does the looking.
    """
    most_seconds = 2 * seconds + 1
    silent = RootLook(path, f"it did not answer within {most_seconds:.0f} s; is its server running?")
    return within(most_seconds, lambda: _guarded(look or _look, path, seconds), silent)


def _guarded(look: Callable[[str, float], RootLook], path: str, seconds: float) -> RootLook:
    try:
        return look(path, seconds)
    except OSError as error:
        return RootLook(path, f"it cannot be read: {error.strerror or error}")


def _look(path: str, seconds: float) -> RootLook:
    if not os.path.lexists(path):
        return RootLook(path, "it is not there; is its drive plugged in and mounted?")
    if not os.path.isdir(path):  # noqa: PTH112
        return RootLook(path, "it is not a folder, or a broken link")
    if not os.access(path, os.R_OK | os.X_OK):
        return RootLook(path, "this user has no permission to read it")
    folders, unreadable, is_complete = count_folders(path, seconds)
    return RootLook(
        path,
        file_system=file_system_of(path),
        is_network=is_network_file_system(path),
        ignores_case=ignores_case(path),
        folders=folders,
        unreadable=tuple(unreadable),
        is_complete=is_complete,
    )


def count_folders(
    root: str, seconds: float, clock: Callable[[], float] = time.monotonic
) -> tuple[int, list[str], bool]:
    """Count the watched folders of a root, itself included: how many, which cannot be read, whether these are all."""
    deadline = clock() + seconds
    tour, number, is_complete = Tour(root, root), 0, True
    for _ in tour:
        if clock() >= deadline:
            is_complete = False
            break
        number += 1
    return number, [f"{path}: {error}" for path, error in tour.unreadable], is_complete


def ignores_case(folder: str) -> bool:
    """Return whether one of a folder's entries is found under its name in other letters too; only looks."""
    with os.scandir(folder) as entries:
        named = next((entry.name for entry in entries if entry.name.swapcase() != entry.name), None)
    if named is None:
        return False
    try:
        one, other = (os.lstat(os.path.join(folder, name)) for name in (named, named.swapcase()))  # noqa: PTH118
    except OSError:
        return False
    return os.path.samestat(one, other) and not _are_both_listed(folder, named)


def _are_both_listed(folder: str, name: str) -> bool:
    """Return whether both spellings are entries of their own: then they are hard links of one file."""
    return name.swapcase() in os.listdir(folder)  # noqa: PTH208
