"""Write an archive, see `domain.archive`: it appears under its name when all of it is there, never over another.

What is known is spelled within one transaction, and as fast as it can be read, for no commit may be written back
meanwhile; images are copied after it, and what the lines say of them is put there as each is.
"""

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from modelkeep.base.collector import collector_paused
from modelkeep.disk.durable import sync_folder
from modelkeep.domain.archive import (
    FORMAT,
    IMAGES_FOLDER,
    MANIFEST,
    MEMBERS,
    MODELS,
    PENDING,
    PENDING_FOLDER,
    SOURCES,
    VERSION,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    Members,
    as_json,
)
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.json_text import COMPACT, json_text
from modelkeep.domain.values import JsonObject
from modelkeep.errors import StorageError
from modelkeep.exporters.spooled_lines import SpooledLines

ReadFile = Callable[[str], bytes]
"""Returns the bytes of an image by its base name; raises OSError when there is none."""

_NAMES_IMAGES = b"*"
"""Stands before a line that is completed when its images are in the archive."""


class NewArchive:
    """An archive that is being written; use it as a context manager.

    Args:
        path: of the new file.

    Raises:
        StorageError: nothing can be written there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path):
            self._lines = SpooledLines(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.__exit__()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many values there are, by member."""
        return self._lines.counts

    def keep(self, members: Members) -> None:
        """Keep all that is known, each value gone as soon as it is spelled.

        Args:
            members: values are read while they are gone through.

        Raises:
            StorageError: it cannot be written.
        """
        with _explained(self._path), collector_paused():
            for name, values in members.items():
                self._lines.put(name, map(_line_of, values))

    def write(self, image: ReadFile, pending_image: ReadFile, made_by: str, made_at: int) -> list[str]:
        """Write the archive of what is kept; returns the names of images that are not there any more.

        Args:
            image: reads published images.
            pending_image: reads images of rows.
            made_by: the program and its version.
            made_at: ms since 1970.

        Raises:
            FileExistsError: something of that name exists.
            StorageError: it cannot be written.
        """
        path = self._path
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with _explained(path):
                descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w+b") as file:
                    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                        images = _Images(packed, image, pending_image)
                        self._write_members(packed, images, {"made_by": made_by, "made_at": made_at})
                    file.flush()
                    os.fsync(file.fileno())
                os.link(temporary, path)
                sync_folder(path.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        return images.lost

    def _write_members(self, packed: zipfile.ZipFile, images: "_Images", made: JsonObject) -> None:
        digests = {}
        for name in MEMBERS:
            lines = self._lines.of(name)
            if name not in images.completions:
                digests[name] = _write_lines(packed, name, lines)
                continue
            # Two members cannot be written at once: lines that name images wait until all of these are there.
            with SpooledLines(self._path.parent) as whole:
                whole.put(name, images.completed(name, lines))
                digests[name] = _write_lines(packed, name, whole.of(name))
        manifest = {"format": FORMAT, "version": VERSION, **made, "members": digests}
        packed.writestr(MANIFEST, json_text(manifest, encoding="ascii", indent=2))


def _line_of(value: Any) -> bytes:
    line = _spelled(as_json(value))
    match value:
        case ArchivedModel(images=named) | ArchivedRow(image=named) | ArchivedRecord(kept=named) if named:
            return _NAMES_IMAGES + line
    return line


def _spelled(value: JsonObject) -> bytes:
    return (json_text(value, encoding="ascii", separators=COMPACT) + "\n").encode("ascii")


def _write_lines(packed: zipfile.ZipFile, name: str, lines: Iterable[bytes]) -> str:
    """Write a member, and return its digest."""
    digest = hashlib.sha256()
    with packed.open(name, "w", force_zip64=True) as member:
        for line in lines:
            digest.update(line)
            member.write(line)
    return digest.hexdigest()


class _Images:
    """Writes images, and completes the lines that name them with their digests."""

    def __init__(self, packed: zipfile.ZipFile, image: ReadFile, pending_image: ReadFile) -> None:
        self._packed = packed
        self._image = image
        self._pending_image = pending_image
        self.lost: list[str] = []
        """Names of those that are not there any more."""

    def completed(self, name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines of a member as they are in the archive, once the images that each names are in it."""
        for line in lines:
            if line.startswith(_NAMES_IMAGES):
                value = json.loads(line.removeprefix(_NAMES_IMAGES))
                self.completions[name](self, value)
                yield _spelled(value)
            else:
                yield line

    def _complete_model(self, model: JsonObject) -> None:
        for image in model["images"]:
            names = {quality: image_name(model["sha256"], image["seq"], quality) for quality in QUALITIES}
            image["files"] = {
                quality: digest
                for quality, name in names.items()
                if (digest := self._store(IMAGES_FOLDER, name, self._image))
            }

    def _complete_row(self, row: JsonObject) -> None:
        row["image_sha256"] = self._store(PENDING_FOLDER, row["image"], self._pending_image)
        row["image"] = row["image"] if row["image_sha256"] else ""

    def _complete_record(self, record: JsonObject) -> None:
        """Name the images of a record in a way that is the same on every machine."""
        kept = []
        for image in record["kept"]:
            data = self._read(image["name"], self._pending_image)
            if data is None:
                continue
            digest = hashlib.sha256(data).hexdigest()
            name = f"{digest}{Path(image['name']).suffix}"
            if PENDING_FOLDER + name not in self._packed.NameToInfo:
                self._packed.writestr(PENDING_FOLDER + name, data, zipfile.ZIP_STORED)
            kept.append(image | {"name": name, "sha256": digest})
        record["kept"] = kept

    completions: Mapping[str, Callable[["_Images", JsonObject], None]] = {
        MODELS: _complete_model,
        PENDING: _complete_row,
        SOURCES: _complete_record,
    }
    """Of members whose lines name images."""

    def _store(self, folder: str, name: str, read: ReadFile) -> str:
        """Write an image as it is, and return its digest; empty when it is not there."""
        data = self._read(name, read)
        if data is None:
            return ""
        self._packed.writestr(folder + name, data, zipfile.ZIP_STORED)
        return hashlib.sha256(data).hexdigest()

    def _read(self, name: str, read: ReadFile) -> bytes | None:
        try:
            return read(name)
        except OSError:
            self.lost.append(name)
            return None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
