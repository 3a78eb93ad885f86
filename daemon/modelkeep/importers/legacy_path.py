"""Turn the path that a legacy source stored into one of this machine, by its spelling alone."""

import ntpath
import os
from pathlib import PureWindowsPath

from modelkeep.domain.naming import PathMap, is_windows_path


def local_path(stored: object, path_map: PathMap) -> tuple[str, str]:
    """Return where a file lies on this machine and an empty text, or an empty path and why there is none.

    Symbolic links are not resolved.

    Args:
        stored: the path as the source's database holds it.
        path_map: prefixes that the owner wants rewritten.
    """
    path = stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else stored
    if not isinstance(path, str) or not path:
        return "", "its path is empty or no text; nothing can be kept without one"
    if "\x00" in path:
        return "", "its path holds a NUL character, which no file's path can"
    # Before mapping, so that `..` cannot climb out of the folder that a prefix is mapped to.
    path = path_map.apply(_normalised(path)) if path_map.pairs else path
    if not path.startswith("/") or path.startswith("//"):
        return "", _foreign(path)
    return os.path.normpath(path), ""


def is_mapped(stored: object, path_map: PathMap) -> bool:
    """Return whether the owner wants the path that a source stored rewritten; as for `local_path`."""
    if not path_map.pairs:
        return False
    path = stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else str(stored)
    return path_map.covers(_normalised(path))


def _normalised(path: str) -> str:
    return ntpath.normpath(path) if is_windows_path(path) else os.path.normpath(path)


def _foreign(path: str) -> str:
    if is_windows_path(path):
        windows = PureWindowsPath(path)
        place = "share" if windows.drive.startswith("\\\\") else "drive"
        return (
            f"{path} lies on a Windows {place}; run again with --map '{windows.anchor}=/where/it/is',"
            " naming the folder in which its files lie on this machine"
        )
    return f"{path} is not an absolute path, so it is unknown which file it means"
