"""Find out how the paths of another machine map to this one, from what lies on the disk here."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath, PureWindowsPath

from modelkeep.domain.naming import is_windows_path

_PATHS_TRIED = 50
_PARENTS_SEARCHED = 5


def folders_to_try(roots: Iterable[str], source: str) -> list[str]:
    """Return the folders in which the files of a source may lie now: the roots, and `models/` near the source."""
    near = []
    for parent in list(PurePosixPath(source).parents)[:_PARENTS_SEARCHED]:
        near += [str(parent / "models"), str(parent)]
    return list(dict.fromkeys([*roots, *near]))


def guess_mapping(
    paths: Sequence[str], folders: Sequence[str], exists: Callable[[str], bool] = os.path.lexists
) -> tuple[str, str] | None:
    """Return the (old, new) prefixes under which most paths would be found, None when none would.

    Args:
        paths: as the legacy source spells them, posix or Windows.
        folders: where to look, the likeliest first.
        exists: whether a path of this machine is there.
    """
    votes: Counter[tuple[str, str]] = Counter()
    for path in paths[:_PATHS_TRIED]:
        votes.update(_matches(path, folders, exists))
    return max(votes, key=votes.__getitem__) if votes else None


def common_folder(paths: Sequence[str]) -> str:
    """Return the innermost folder that holds all these paths, empty when they share none."""
    folders = [_pure(path).parent for path in paths]
    if not folders or len({type(folder) for folder in folders}) > 1:
        return ""
    shared = folders[0]
    while not all(folder.is_relative_to(shared) for folder in folders):
        if shared == shared.parent:
            return ""
        shared = shared.parent
    return "" if shared == shared.parent else str(shared)


def _matches(path: str, folders: Sequence[str], exists: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Return the mapping of every folder in which the end of a path is found; the longest end counts."""
    parts = _pure(path).parts
    found = []
    for folder in folders:
        for start in range(1, len(parts)):
            if exists(os.path.join(folder, *parts[start:])):  # noqa: PTH118 - names may be no UTF-8, nothing is opened
                found.append((str(type(_pure(path))(*parts[:start])), folder))
                break
    return found


def _pure(path: str) -> PurePosixPath | PureWindowsPath:
    return PureWindowsPath(path) if is_windows_path(path) else PurePosixPath(path)
