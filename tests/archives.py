"""Archives of values that are in memory."""

from pathlib import Path

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.archive import MEMBERS, Archive, Members
from modelkeep.exporters.archive import NewArchive, ReadFile


def write_archive(path: Path, archive: Archive, image: ReadFile, pending_image: ReadFile) -> list[str]:
    """Write an archive of these values; returns the names of images that are not there."""
    values = (archive.tags, archive.models, archive.pending, archive.sources, archive.contents)
    with NewArchive(path) as new:
        new.keep(dict(zip(MEMBERS, values, strict=True)))
        return new.write(image, pending_image, "a test", 1)


def whole(archive: Archive) -> Archive:
    """Return an archive of which all is in memory."""
    models, pending = tuple(archive.models), tuple(archive.pending)
    return Archive(archive.tags, models, pending, tuple(archive.sources), tuple(archive.contents))


async def known_to(catalogue: Catalogue) -> Archive:
    """Return what an archive would hold of all that a catalogue knows."""
    read: list[Archive] = []

    def keep(members: Members) -> None:
        read.append(Archive(*(tuple(members[name]) for name in MEMBERS)))

    await catalogue.archived(keep)
    return read[0]
