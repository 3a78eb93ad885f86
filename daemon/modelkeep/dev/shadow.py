"""Shadow files: empty stand-ins for the model files that a legacy database names, for trying without terabytes."""

import ntpath
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath, PureWindowsPath

from modelkeep.domain.naming import SHADOW_PREFIX, is_windows_path
from modelkeep.errors import ModelkeepError

SALT_BYTES = 16

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What was made: `made` new files, `kept` that were there before, `skipped` pairs of a path and the reason."""

    folder: Path
    made: int = 0
    kept: int = 0
    skipped: tuple[tuple[str, str], ...] = ()


def make_shadows(paths: Iterable[str], out: Path, *, salt: bool = False) -> ShadowReport:
    """Make a file `shadow_<name>` for every path, below `out`, in the folders that the paths do not share.

    A file that is there already is never touched.

    Args:
        paths: absolute paths as the legacy database holds them, those of Windows among them.
        out: the folder; made when it is not there.
        salt: put some random bytes into each file, so that no two have the same content.

    Raises:
        ModelkeepError: `out` cannot be made.
    """
    parts = {path: _parts(path) for path in paths}
    shared = _shared_folders([each[:-1] for each in parts.values() if each])
    _make_folder(out)
    made = kept = 0
    skipped: list[tuple[str, str]] = []
    for path, each in parts.items():
        if not each:
            skipped.append((path, "it names no file"))
            continue
        try:
            if _make_shadow(out.joinpath(*each[shared:-1], SHADOW_PREFIX + each[-1]), salt=salt):
                made += 1
            else:
                kept += 1
        except (OSError, ValueError) as error:  # ValueError: a character that no file name can hold
            skipped.append((path, getattr(error, "strerror", None) or str(error)))
    return ShadowReport(out, made, kept, tuple(skipped))


def _parts(path: str) -> Parts:
    """Return a path's folders and name, without what climbs: a shadow never leaves its folder."""
    if is_windows_path(path):
        normal = PureWindowsPath(ntpath.normpath(path))
        drive = normal.drive.strip("\\").rstrip(":").replace("\\", "_")
        return (drive, *_names(normal.parts[1:])) if normal.name else ()
    return _names(PurePosixPath(posixpath.normpath(path)).parts) if path.strip("/") else ()


def _names(parts: Iterable[str]) -> Parts:
    return tuple(part for part in parts if part.strip("/\\") and part not in (".", ".."))


def _shared_folders(folders: Sequence[Parts]) -> int:
    """Return the number of leading folders that all have in common."""
    return sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False)))


def _make_shadow(path: Path, *, salt: bool) -> bool:
    """Make one file; False when it is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(os.urandom(SALT_BYTES) if salt else b"")
    except FileExistsError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelkeepError(f"{folder} cannot be made: {error.strerror}; name another folder") from error
