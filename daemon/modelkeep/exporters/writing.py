"""Write a file beside a model so that at every moment the old one or the new one is there, and no part of either.

Of what a kill leaves nothing counts for any program: names that begin with a dot and `TEMPORARY_PREFIX`.
"""

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from modelkeep.base.failpoints import reach
from modelkeep.exporters.existing import Existing

TEMPORARY_PREFIX = ".modelkeep-tmp-"
_FORGOTTEN_SECONDS = 3600
_MODE = 0o644


class NotWritten(Exception):
    """A file was not written; the text says why, and the old one is there as it was."""


def write_file(path: str, data: bytes, existing: Existing) -> None:
    """Put a file in the place of the one that was read, or where none was.

    Raises:
        NotWritten: it changed since it was read, or its owner cannot be kept.
        OSError: the disk does not take it.
    """
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _write_in(descriptor, name, data, existing)
    finally:
        os.close(descriptor)


def sweep(folder: str) -> None:
    """Remove what earlier exports that were killed have left in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_left = entry.name.startswith(TEMPORARY_PREFIX) and entry.is_file(follow_symlinks=False)
            if is_left and time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN_SECONDS:
                Path(entry.path).unlink()


def _write_in(folder: int, name: str, data: bytes, existing: Existing) -> None:
    temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, _MODE, dir_fd=folder)
    try:
        _fill(file, data, name, folder, existing)
        reach("export.rename.before")
        _give_name(folder, temporary, name, existing)
        reach("export.rename.after")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)


def _fill(descriptor: int, data: bytes, name: str, folder: int, existing: Existing) -> None:
    """Write the new file, durably, and close it."""
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        _take_over(descriptor, name, folder, existing)
        os.fsync(descriptor)


def _take_over(descriptor: int, name: str, folder: int, existing: Existing) -> None:
    """Give the new file the mode and the owner of the old one."""
    if existing.state is None:
        return
    old = os.stat(name, dir_fd=folder, follow_symlinks=False)
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError as error:
            raise NotWritten("it belongs to another user or group, to whom it could not be given back") from error
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _give_name(folder: int, temporary: str, name: str, existing: Existing) -> None:
    if existing.state is None:
        # A link, unlike a rename, fails when somebody took the name meanwhile.
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            raise NotWritten("a file appeared there meanwhile") from error
        except OSError:
            if _state(folder, name) is not None:
                raise NotWritten("a file appeared there meanwhile") from None
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    if _state(folder, name) != existing.state:
        raise NotWritten("it changed while it was being completed; export again")
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _state(folder: int, name: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
