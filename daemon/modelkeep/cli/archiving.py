"""Write an archive: read from the catalogue's own file, whether a daemon runs or not, as it stood at one moment."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

from modelkeep import __version__
from modelkeep.base.clock import now_ms
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.cli.client import connect
from modelkeep.cli.exits import Refused
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import count
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.domain.archive import Archive
from modelkeep.errors import Busy
from modelkeep.exporters.archive import write_archive
from modelkeep.images.paths import ImagePaths
from modelkeep.settings.model import Settings


def export_archive(settings: Settings, path: Path, *, as_json: bool) -> None:
    """Write everything that is known into a new file.

    Raises:
        Refused: something of that name exists.
        CatalogueMissing: nothing is known yet.
        Busy: images changed while they were copied.
        StorageError: it cannot be written.
    """
    directory = DataDirectory(settings.data_dir)
    directory.require_catalogue()
    images = ImagePaths(directory.images)
    before = _known(settings, directory)
    try:
        lost = write_archive(
            path,
            before,
            lambda name: (directory.images / name).read_bytes(),
            lambda name: images.pending_path(name).read_bytes(),
            f"modelkeep {__version__}",
            now_ms(),
        )
    except FileExistsError as error:
        raise Refused(f"{path} exists and is left as it is: name another file") from error
    if _images_of(_known(settings, directory)) != _images_of(before):
        path.unlink()
        raise Busy("images changed while they were copied; export again")
    _tell(path, before, lost, as_json=as_json)


def _known(settings: Settings, directory: DataDirectory) -> Archive:
    client = connect(settings)
    with client or nullcontext():
        catalogue = Catalogue(directory.catalogue, read_only=True, is_resting=client is None)
    try:
        return asyncio.run(catalogue.archived())
    finally:
        catalogue.close()


def _images_of(archive: Archive) -> list[tuple[str, int, str]]:
    models = [(model.sha256, image.seq, image.source_digest) for model in archive.models for image in model.images]
    return models + [(row.path, 0, row.image) for row in archive.pending if row.image]


def _tell(path: Path, archive: Archive, lost: list[str], *, as_json: bool) -> None:
    images = sum(len(model.images) for model in archive.models)
    if as_json:
        counts = {
            "models": len(archive.models),
            "images": images,
            "pending": len(archive.pending),
            "sources": len(archive.sources),
        }
        print_json({"path": str(path), "size_bytes": path.stat().st_size, "counts": counts, "lost": lost})
        return
    said = [count(len(archive.models), "model"), count(images, "image"), count(len(archive.pending), "row")]
    console().print(f"{path}: {', '.join(said)} and {count(len(archive.sources), 'record')} of other tools.")
    if lost:
        console().print(f"{count(len(lost), 'image file')} could not be read: run `modelkeep doctor`.")
