"""List the model files of a folder by the library that is built from `folder_listing.c`, where that could be built.

What the library does not decide (links, what the kernel does not tell at once) is left to `walk`, folder by folder.
"""

import ctypes
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelkeep.base.patience import reached
from modelkeep.domain.fingerprint import Entry
from modelkeep.domain.naming import TEMPORARY_SUFFIXES

LIBRARY = Path(__file__).with_name("_folder_listing.so")

_FILES, _NAME_BYTES = 256, 1 << 16
"""What one call may tell; in between one says that one goes on."""
_FILE = struct.Struct("=QQQqqq")
_NO_BIRTH = -(1 << 63)
_FINISHED, _FAILED, _UNDECIDED = 0, -1, -2


class _Listed(ctypes.Structure):
    _fields_ = (
        ("files_room", ctypes.c_uint64),
        ("files_count", ctypes.c_uint64),
        ("files", ctypes.c_void_p),
        ("names_room", ctypes.c_uint64),
        ("names_used", ctypes.c_uint64),
        ("names", ctypes.c_void_p),
        ("folders_room", ctypes.c_uint64),
        ("folders_used", ctypes.c_uint64),
        ("folders", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """The model files of a folder, as bytes: what the kernel tells of each, and their names."""

    folder: str
    files: bytes
    names: bytes

    def __len__(self) -> int:
        return len(self.files) // _FILE.size

    def entries(self) -> Iterator[Entry]:
        """Yield each file."""
        base = os.path.join(self.folder, "")
        for name, numbers in zip(_names(self.names), _FILE.iter_unpack(self.files), strict=True):
            *known, birth_ns = numbers
            device, inode, size, mtime_ns, ctime_ns = known
            yield base + name, device, inode, size, mtime_ns, ctime_ns, None if birth_ns == _NO_BIRTH else birth_ns


class PackedFolders:
    """Reads folders one after the other, in one thread.

    Args:
        library: what reads them.
        extensions: endings of model files, in ASCII.
    """

    def __init__(self, library: ctypes.CDLL, extensions: Sequence[str]) -> None:
        self._library = library
        self._wanted, self._unwanted = _listed(extensions), _listed(TEMPORARY_SUFFIXES)
        self._files = ctypes.create_string_buffer(_FILES * _FILE.size)
        self._names, self._folders = (ctypes.create_string_buffer(_NAME_BYTES) for _ in range(2))
        self._told = _Listed(
            *(_FILES, 0, ctypes.addressof(self._files)),
            *(_NAME_BYTES, 0, ctypes.addressof(self._names)),
            *(_NAME_BYTES, 0, ctypes.addressof(self._folders)),
        )

    def read(self, folder: str) -> tuple[Packed, list[str]] | None:
        """Return the model files of a folder, and the names of those in it that no link leads to.

        Hidden ones are left out. None: it holds something that this does not decide.

        Raises:
            OSError: it cannot be read.
        """
        opened = self._library.folder_open(os.fsencode(folder))
        if not opened:
            raise _error(folder)
        try:
            return self._read(folder, opened)
        finally:
            self._library.folder_close(opened)

    def _read(self, folder: str, opened: int) -> tuple[Packed, list[str]] | None:
        told = self._told
        files, names, folders = [], [], []
        while True:
            told.files_count = told.names_used = told.folders_used = 0
            state = self._library.folder_next(opened, self._wanted, self._unwanted, ctypes.byref(told))
            if state == _UNDECIDED:
                return None
            if state == _FAILED:
                raise _error(folder)
            files.append(ctypes.string_at(told.files, told.files_count * _FILE.size))
            names.append(ctypes.string_at(told.names, told.names_used))
            folders.append(ctypes.string_at(told.folders, told.folders_used))
            if state == _FINISHED:
                return Packed(folder, b"".join(files), b"".join(names)), _names(b"".join(folders))
            reached(folder)


def packed_folders(extensions: Sequence[str]) -> PackedFolders | None:
    """Return what reads folders for files of these endings; None where that takes Python."""
    library = _library(LIBRARY)
    is_able = library is not None and all(ending.isascii() and ending for ending in extensions)
    return PackedFolders(library, extensions) if library is not None and is_able else None


@cache
def _library(path: Path) -> ctypes.CDLL | None:
    pointer: Any = ctypes.c_void_p
    try:
        library = ctypes.CDLL(str(path), use_errno=True)
        library.folder_open.argtypes, library.folder_open.restype = (ctypes.c_char_p,), pointer
        library.folder_close.argtypes, library.folder_close.restype = (pointer,), None
        library.folder_next.argtypes = (pointer, ctypes.c_char_p, ctypes.c_char_p, pointer)
    except (OSError, AttributeError):  # none was built, or of another version of modelkeep
        return None
    return library


def _listed(suffixes: Sequence[str]) -> bytes:
    return b"".join(suffix.encode("ascii") + b"\0" for suffix in suffixes) + b"\0"


def _names(ended: bytes) -> list[str]:
    return os.fsdecode(ended).split("\0")[:-1]


def _error(folder: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), folder)
