"""Look at files: the effects behind settling and scanning. Nothing here writes, and nothing blocks on a pipe."""

import errno
import fcntl
import os
import time
from collections.abc import Iterable, Sequence

from modelkeep.base.patience import reached
from modelkeep.disk.opening import close_file, is_kernels, open_and_see, read_at
from modelkeep.disk.statx import see
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.formats import Completeness, judge
from modelkeep.domain.naming import CONTROL_SUFFIX, Root, root_of
from modelkeep.domain.settling import Look

_ABSENCES = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""The answers of a path at which there is no file; all others (no right to look, a failing disk) tell nothing."""


def fingerprint_of(path: str) -> Fingerprint | None:
    """Return the fingerprint of the regular file at a path, links followed; None when there is none."""
    reached(path)
    try:
        seen = see(path)
    except (OSError, ValueError, OverflowError):
        return None
    return seen.fingerprint if seen.is_file and not is_kernels(seen, path) else None


def statuses_of(paths: Iterable[str]) -> dict[str, Fingerprint | None]:
    """Return the fingerprints at paths, None where no regular file lies."""
    return {path: fingerprint_of(path) for path in paths}


def fingerprints_of(paths: Iterable[str]) -> dict[str, Fingerprint]:
    """Return the fingerprints of those paths at which a regular file lies."""
    found = ((path, fingerprint_of(path)) for path in paths)
    return {path: fingerprint for path, fingerprint in found if fingerprint is not None}


def folders_there(folders: Iterable[str]) -> list[str]:
    """Return those folders below which something may lie."""
    return [folder for folder in folders if not _is_absent(folder)]


def _is_absent(folder: str) -> bool:
    """Return whether there is certainly nothing below a folder."""
    reached(folder)
    try:
        os.stat(folder or "/")
    except OSError as error:
        return error.errno in _ABSENCES
    except ValueError:
        return True
    return False


def age_seconds(fingerprint: Fingerprint) -> float:
    """Return the time since a file's mtime by the wall clock; negative when it lies in the future."""
    return time.time() - fingerprint.mtime_ns / 1e9


def untouched_seconds(fingerprint: Fingerprint) -> float | None:
    """Return the time since anything of a file changed by the wall clock; None where that is not known."""
    if fingerprint.ctime_ns is None:
        return None
    return time.time() - max(fingerprint.mtime_ns, fingerprint.ctime_ns) / 1e9


def why_unseen(path: str) -> str:
    """Return why it is unknown what lies at a path; empty when that is plain: a file, or none."""
    reached(path)
    try:
        os.stat(path)
    except OSError as error:
        return "" if error.errno in _ABSENCES else error.strerror or str(error)
    except ValueError:
        return ""
    return ""


def leads_through_link(path: str, roots: Sequence[Root]) -> bool:
    """Return whether a path leads to its file by a symbolic link, its own or that of a folder below its root.

    A root that is itself a link into another one counts, too: the file is known there by the name that it has.
    """
    root, real = root_of(path, roots), os.path.realpath(path)
    if real == path:
        return False
    base = root.path.rstrip("/") if root is not None else os.path.dirname(path)
    return real != os.path.realpath(base) + path[len(base) :] or root_of(real, roots) not in (None, root)


def look_at(path: str) -> Look | None:
    """Look at a file; None when it is not there or cannot be read."""
    reached(path)
    try:
        descriptor, seen = open_and_see(path)
    except (OSError, ValueError):
        return None
    try:
        size_bytes = seen.fingerprint.size_bytes
        completeness = judge(
            os.path.basename(path), size_bytes, lambda offset, length: _read_at(path, descriptor, offset, length)
        )
        if completeness is Completeness.WHOLE and _has_holes(descriptor, size_bytes):
            # Space was reserved and is not filled: the header proves nothing about what follows it.
            completeness = Completeness.UNKNOWN
        return Look(
            seen.fingerprint,
            completeness,
            _is_being_written(descriptor),
            age_seconds(seen.fingerprint),
            has_control_file=os.path.exists(path + CONTROL_SUFFIX),
        )
    except OSError:
        return None
    finally:
        close_file(descriptor)


def _read_at(path: str, descriptor: int, offset: int, length: int) -> bytes:
    reached(path)
    return read_at(descriptor, offset, length)


def look_at_all(paths: Iterable[str]) -> dict[str, Look | None]:
    """Look at files."""
    return {path: look_at(path) for path in paths}


def _has_holes(descriptor: int, size_bytes: int) -> bool:
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < size_bytes
    except OSError:
        return False


def _is_being_written(descriptor: int) -> bool | None:
    """Return whether anybody holds the file open for writing; None where the kernel does not say.

    A read lease is granted only when nobody does (fcntl(2), "Leases"). It is given back at once, and changes nothing.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno in (errno.EAGAIN, errno.EBUSY) else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
