"""Write an archive, see `domain.archive`: it appears under its name when all of it is there, never over another."""

import hashlib
import os
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelkeep.disk.durable import sync_folder
from modelkeep.domain.archive import (
    CONTENTS,
    FORMAT,
    IMAGES_FOLDER,
    MANIFEST,
    MODELS,
    PENDING,
    PENDING_FOLDER,
    SOURCES,
    TAGS,
    VERSION,
    Archive,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    as_json,
)
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.json_text import COMPACT, json_text
from modelkeep.errors import StorageError

ReadFile = Callable[[str], bytes]
"""Returns the bytes of an image by its base name; raises OSError when there is none."""


def write_archive(
    path: Path, archive: Archive, image: ReadFile, pending_image: ReadFile, made_by: str, made_at: int
) -> list[str]:
    """Write an archive; returns the names of images that are not there any more.

    Args:
        path: of the new file.
        archive: all that is known.
        image: reads published images.
        pending_image: reads images of rows.
        made_by: the program and its version.
        made_at: ms since 1970.

    Raises:
        FileExistsError: something of that name exists.
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                lost = _Writer(packed, image, pending_image).write(archive, made_by, made_at)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return lost


class _Writer:
    """Writes the members: images first, for the lines name their digests."""

    def __init__(self, packed: zipfile.ZipFile, image: ReadFile, pending_image: ReadFile) -> None:
        self._packed = packed
        self._image = image
        self._pending_image = pending_image
        self._digests: dict[str, str] = {}
        self._lost: list[str] = []

    def write(self, archive: Archive, made_by: str, made_at: int) -> list[str]:
        """Write all of it."""
        self._lines(TAGS, archive.tags)
        self._lines(MODELS, map(self._with_images, archive.models))
        self._lines(PENDING, map(self._with_image, archive.pending))
        self._lines(SOURCES, map(self._with_kept, archive.sources))
        self._lines(CONTENTS, archive.contents)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": made_by,
            "made_at": made_at,
            "members": self._digests,
        }
        self._packed.writestr(MANIFEST, json_text(manifest, encoding="ascii", indent=2))
        return self._lost

    def _lines(self, name: str, values: Iterable[object]) -> None:
        digest = hashlib.sha256()
        # Two members cannot be written at once, and what a line says of images is known when these are written.
        lines = list(_spelled(values))
        with self._packed.open(name, "w", force_zip64=True) as member:
            for line in lines:
                digest.update(line)
                member.write(line)
        self._digests[name] = digest.hexdigest()

    def _with_images(self, model: ArchivedModel) -> ArchivedModel:
        images = []
        for image in model.images:
            names = {quality: image_name(model.sha256, image.seq, quality) for quality in QUALITIES}
            digests = {
                quality: digest
                for quality, name in names.items()
                if (digest := self._store(IMAGES_FOLDER, name, self._image))
            }
            images.append(replace(image, files=digests))
        return replace(model, images=tuple(images))

    def _with_image(self, row: ArchivedRow) -> ArchivedRow:
        digest = self._store(PENDING_FOLDER, row.image, self._pending_image) if row.image else ""
        return replace(row, image=row.image if digest else "", image_sha256=digest)

    def _with_kept(self, each: ArchivedRecord) -> ArchivedRecord:
        """Return a record with its images by names that are the same on every machine."""
        kept = []
        for image in each.kept:
            try:
                data = self._pending_image(image.name)
            except OSError:
                self._lost.append(image.name)
                continue
            digest = hashlib.sha256(data).hexdigest()
            name = f"{digest}{Path(image.name).suffix}"
            if PENDING_FOLDER + name not in self._packed.NameToInfo:
                self._packed.writestr(PENDING_FOLDER + name, data, zipfile.ZIP_STORED)
            kept.append(replace(image, name=name, sha256=digest))
        return replace(each, kept=tuple(kept))

    def _store(self, folder: str, name: str, read: ReadFile) -> str:
        """Write an image as it is, and return its digest; empty when it is not there."""
        try:
            data = read(name)
        except OSError:
            self._lost.append(name)
            return ""
        self._packed.writestr(folder + name, data, zipfile.ZIP_STORED)
        return hashlib.sha256(data).hexdigest()


def _spelled(values: Iterable[object]) -> Iterator[bytes]:
    for value in values:
        yield (json_text(as_json(value), encoding="ascii", separators=COMPACT) + "\n").encode("ascii")
