"""Read an archive of unknown origin: no name in it is a path, no size is believed, and every digest is compared."""

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from modelkeep.domain.archive import (
    CONTENTS,
    FORMAT,
    IMAGES_FOLDER,
    MANIFEST,
    MEMBERS,
    MODELS,
    PENDING,
    PENDING_FOLDER,
    SOURCES,
    TAGS,
    VERSION,
    Archive,
    ArchivedModel,
    ArchivedRow,
)
from modelkeep.domain.archive_lines import NotAnArchive, content_of, model_of, record_of, row_of, tag_of
from modelkeep.domain.images import SOURCE_BYTES
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.errors import ImageError, SourceError
from modelkeep.importers.loose_json import DEPTH_MAX, is_deep
from modelkeep.importers.sqlite_copy import unreadable

TAGS_BYTES_MAX = 512 * 2**20
"""Of the lines of the one member that is in memory."""

MEMBER_BYTES_MAX = 8 * 2**30
"""Of the lines of another member: these are in memory a few at a time."""

LINE_BYTES_MAX = 64 * 2**20
MANIFEST_BYTES_MAX = 2**20
_LOCAL_HEADER = b"PK\x03\x04"
_KEY = re.compile(rb'"key": ?("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")')
_KEY_WITHIN_BYTES = 2**16
MEMBERS_MAX = 3_000_000

T = TypeVar("T")


def _see_nothing(_: object) -> None:
    """Look at nothing."""


class ArchiveFile:
    """An open archive; use it as a context manager.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._packed = self._opened()
        self._left = TAGS_BYTES_MAX
        self._is_called_off = False
        self._too_long: dict[int, Refusal] = {}

    def __enter__(self) -> "ArchiveFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

    def read(self, see: Callable[[ArchivedModel | ArchivedRow], None] = _see_nothing) -> Archive:
        """Return what it says, all of it looked at; whatever but tags is read anew whenever it is gone through.

        Args:
            see: called with each model and each row while they are looked at.

        Raises:
            SourceError: it is no archive of a version that is known, or not as it was made.
        """
        digests = self._manifest()
        self._left = TAGS_BYTES_MAX
        return Archive(
            tuple(self._values(TAGS, digests, tag_of)),
            self._reread(MODELS, digests, model_of, see),
            self._reread(PENDING, digests, row_of, see),
            self._reread(SOURCES, digests, record_of),
            self._reread(CONTENTS, digests, content_of),
        )

    @property
    def refusals(self) -> list[Refusal]:
        """What it says of one thing another tool knows at such length that it is left out."""
        return list(self._too_long.values())

    def _reread(
        self,
        name: str,
        digests: Mapping[str, Any],
        make: Callable[[JsonObject], T],
        see: Callable[[T], None] = _see_nothing,
    ) -> "Reread[T]":
        def values() -> Iterator[T]:
            self._left = MEMBER_BYTES_MAX
            return self._values(name, digests, make)

        count = 0
        for value in values():
            see(value)
            count += 1
        return Reread(values, count)

    def call_off(self) -> None:
        """Have whoever reads it in another thread end with its next line."""
        self._is_called_off = True

    def image(self, name: str, digest: str) -> bytes:
        """Return a tier of an image.

        Raises:
            ImageError: it is not there, too large, or another one than the lines say.
        """
        return self._image(IMAGES_FOLDER + name, digest)

    def pending_image(self, name: str, digest: str) -> bytes:
        """Return the image of a row; as `image`."""
        return self._image(PENDING_FOLDER + name, digest)

    def _opened(self) -> zipfile.ZipFile:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):  # a named pipe would be waited for, a device has no end
                raise SourceError(f"{self._path} is no regular file; give the path of the archive")
            packed = zipfile.ZipFile(self._path)
        except OSError as error:
            raise unreadable(self._path, error) from error
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            what = "is cut off or damaged" if self._begins_like_zip() else "is no archive of modelkeep"
            raise SourceError(f"{self._path} {what}: {error}") from error
        names = packed.namelist()
        if len(names) > MEMBERS_MAX or len(names) != len(set(names)):
            packed.close()
            raise SourceError(f"{self._path} is no archive of modelkeep: it has too many members, or some twice")
        return packed

    def _begins_like_zip(self) -> bool:
        with suppress(OSError), self._path.open("rb") as file:
            return file.read(len(_LOCAL_HEADER)) == _LOCAL_HEADER
        return False

    def _manifest(self) -> Mapping[str, Any]:
        try:
            value = json.loads(self._bytes(MANIFEST, MANIFEST_BYTES_MAX))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self._path} is no archive of modelkeep: its manifest cannot be read") from error
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise SourceError(f"{self._path} is no archive of modelkeep")
        if value.get("version") != VERSION:
            raise SourceError(f"{self._path} is an archive of version {value.get('version')}; {VERSION} is known")
        members = value.get("members")
        if not isinstance(members, dict) or set(members) != set(MEMBERS):
            raise SourceError(f"{self._path} is no whole archive: its manifest names other members")
        return members

    def _values(self, name: str, digests: Mapping[str, Any], make: Callable[[JsonObject], T]) -> Iterator[T]:
        digest = hashlib.sha256()
        for number, line in enumerate(self._lines(name, digest.update), 1):
            if len(line) > LINE_BYTES_MAX and name == SOURCES:
                self._too_long[number] = _too_long(line, f"line {number} of {name}")
                continue
            try:
                yield make(_object(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise SourceError(f"{self._path}: line {number} of {name} is not as it has to be: {error}") from error
        if digest.hexdigest() != digests[name]:
            raise SourceError(f"{self._path} is damaged: {name} is not as it was written")

    def _lines(self, name: str, note: Callable[[bytes], object]) -> Iterator[bytes]:
        """Yield the lines of a member, within what all of them may take; of one that is too long, its beginning.

        Raises:
            SourceError: it is damaged, says too much, or is read no further.
        """
        try:
            with self._packed.open(name) as member:
                while line := self._piece(member, note):
                    if len(line) > LINE_BYTES_MAX and name != SOURCES:
                        raise self._endless()
                    yield line
                    while len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
                        line = self._piece(member, note)
        except (*_DAMAGES, KeyError) as error:
            raise self._damaged(name, error) from error

    def _piece(self, member: IO[bytes], note: Callable[[bytes], object]) -> bytes:
        """Read to the end of a line, or no more of it than a line may have."""
        piece = member.readline(LINE_BYTES_MAX + 1)
        if self._is_called_off:
            raise SourceError(f"{self._path} is read no further: the import was called off")
        self._left -= len(piece)
        if self._left < 0:
            raise self._endless()
        note(piece)
        return piece

    def _endless(self) -> SourceError:
        return SourceError(f"{self._path} holds more text than any library: it is not read")

    def _bytes(self, name: str, most: int) -> bytes:
        try:
            with self._packed.open(name) as member:
                data = member.read(most + 1)
        except (*_DAMAGES, KeyError) as error:
            raise self._damaged(name, error) from error
        if len(data) > most:
            raise SourceError(f"{self._path}: {name} is larger than {most:,} bytes")
        return data

    def _image(self, name: str, digest: str) -> bytes:
        try:
            data = self._bytes(name, SOURCE_BYTES)
        except SourceError as error:
            raise ImageError(str(error)) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise ImageError(f"{name} is not as it was written")
        return data

    def _damaged(self, name: str, error: Exception) -> SourceError:
        return SourceError(f"{self._path} is damaged: {name} cannot be read ({error})")


class Reread(Collection[T]):
    """The values of a member, which are never all in memory; they were all looked at once.

    Args:
        values: reads them.
        count: how many they are.
    """

    def __init__(self, values: Callable[[], Iterator[T]], count: int) -> None:
        self._values = values
        self._count = count

    def __iter__(self) -> Iterator[T]:
        return self._values()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)


_DAMAGES = (
    OSError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    zlib.error,
)
"""What reading a member raises."""


def _too_long(beginning: bytes, place: str) -> Refusal:
    """Return that a record is left out: by the path of which it speaks, which stands first in its line."""
    named = _KEY.search(beginning, 0, _KEY_WITHIN_BYTES)
    path = json.loads(named[1].decode(errors="replace")) if named else ""
    return Refusal(place, path, f"it is longer than {LINE_BYTES_MAX // 2**20} MB, which no record is")


def _object(line: bytes) -> JsonObject:
    value = json.loads(line, parse_constant=_refuse)
    may_be_deep = line.count(b"{") + line.count(b"[") > DEPTH_MAX
    if not isinstance(value, dict) or (may_be_deep and is_deep(value)):
        raise NotAnArchive("it is no object, or nested too deep")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")
