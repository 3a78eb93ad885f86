"""The border to the disk: foreign images are read with care, own files are written so that they last.

A foreign image that cannot be used is a `ImageError` with a sentence; whatever goes wrong with our own files, or
because this process has run out of descriptors, stays the `OSError` that it is.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from modelkeep.disk.opening import open_for_reading
from modelkeep.domain.images import SOURCE_BYTES
from modelkeep.errors import ImageError, ImageTooLarge

_CHUNK_BYTES = 1024 * 1024
_OUR_OWN_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def shown_name(path: str) -> str:
    """Return a path's base name as text that every encoder takes: bytes that are no UTF-8 are spelled out."""
    return PurePath(path).name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_image(path: str) -> bytes:
    """Return the bytes of an image.

    Raises:
        ImageError: it is missing, unreadable, no regular file, empty or larger than `SOURCE_BYTES`.
    """
    return b"".join(image_chunks(path))


def image_chunks(path: str) -> Iterator[bytes]:
    """Yield the bytes of an image, piece by piece.

    Raises:
        ImageError: as `read_image`.
    """
    name = shown_name(path)
    descriptor = _open_regular(path, name)
    try:
        read_bytes = 0
        while chunk := _read(descriptor, name):
            read_bytes += len(chunk)
            # It may have grown since it was opened.
            _refuse_large(read_bytes, name)
            yield chunk
    finally:
        os.close(descriptor)
    if not read_bytes:
        raise ImageError(f"{name} is empty; put the image back, or remove it")


def remove_file(path: Path) -> None:
    """Remove a file; it is fine when it is gone already, also where nothing can be removed.

    Raises:
        OSError: it is there and cannot be removed.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except OSError:
        # A file system that is mounted read-only says so before it has looked for the file.
        if os.path.lexists(path):
            raise


def require_writable(folder: Path) -> None:
    """Raise OSError when no file can be made in a folder, or removed from it; nothing is tried."""
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        # As the system names a file in it: the folder is then the one of that file.
        raise OSError(number, os.strerror(number), str(folder / "*"))


def clear_away(paths: Iterable[Path]) -> None:
    """Remove what a failure left behind, as far as that can be done: the failure itself is what gets told."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _open_regular(path: str, name: str) -> int:
    try:
        descriptor = open_for_reading(path)
    except FileNotFoundError as error:
        raise ImageError(f"{name} is not there (any more)") from error
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ImageError(f"{name} is {_what_it_is(path)}") from error
        raise _unreadable(error, name) from error
    except ValueError as error:  # a null character, or a lone surrogate that no file name can hold
        raise ImageError(f"{name} is no name that a file can have") from error
    try:
        _refuse_large(os.fstat(descriptor).st_size, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _what_it_is(path: str) -> str:
    return "a folder, not an image" if Path(path).is_dir() else "not a regular file, so it is not read"


def _refuse_large(size_bytes: int, name: str) -> None:
    if size_bytes > SOURCE_BYTES:
        # Rounded up, or a file that is one byte too large would be "64 MB; at most 64 MB".
        size_mb = -(-size_bytes // 2**20)
        raise ImageTooLarge(f"{name} is {size_mb} MB; at most {SOURCE_BYTES // 2**20} MB are taken")


def _read(descriptor: int, name: str) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError as error:
        raise _unreadable(error, name) from error


def _unreadable(error: OSError, name: str) -> Exception:
    if error.errno in _OUR_OWN_SHORTAGE:
        return error
    return ImageError(f"{name} cannot be read: {error.strerror}")
