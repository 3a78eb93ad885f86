"""Write an archive: read from the catalogue's own file, whether a daemon runs or not, as it stood at one moment."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from modelkeep import __version__
from modelkeep.base.clock import now_ms
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.cli.client import connect
from modelkeep.cli.exits import Refused
from modelkeep.cli.output import console, print_json
from modelkeep.cli.wording import count
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.domain.archive import MODELS, PENDING, SOURCES, ArchivedImages
from modelkeep.errors import Busy
from modelkeep.exporters.archive import NewArchive
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
    stored = ImagePaths(directory.images)
    try:
        with NewArchive(path) as archive:
            before = _ask(settings, directory, lambda catalogue: catalogue.archived(archive.keep))
            lost = archive.write(
                lambda name: (directory.images / name).read_bytes(),
                lambda name: stored.pending_path(name).read_bytes(),
                f"modelkeep {__version__}",
                now_ms(),
            )
    except FileExistsError as error:
        raise Refused(f"{path} exists and is left as it is: name another file") from error
    if _ask(settings, directory, Catalogue.archived_images) != before:
        path.unlink()
        raise Busy("images changed while they were copied; export again")
    _tell(path, archive.counts, before.count, lost, as_json=as_json)


def _ask(
    settings: Settings, directory: DataDirectory, question: Callable[[Catalogue], Coroutine[Any, Any, ArchivedImages]]
) -> ArchivedImages:
    client = connect(settings)
    with client or nullcontext():
        catalogue = Catalogue(directory.catalogue, read_only=True, is_resting=client is None)
    try:
        return asyncio.run(question(catalogue))
    finally:
        catalogue.close()


def _tell(path: Path, counts: Mapping[str, int], images: int, lost: list[str], *, as_json: bool) -> None:
    if as_json:
        told = {"models": counts[MODELS], "images": images, "pending": counts[PENDING], "sources": counts[SOURCES]}
        print_json({"path": str(path), "size_bytes": path.stat().st_size, "counts": told, "lost": lost})
        return
    said = [count(counts[MODELS], "model"), count(images, "image"), count(counts[PENDING], "row")]
    console().print(f"{path}: {', '.join(said)} and {count(counts[SOURCES], 'record')} of other tools.")
    if lost:
        console().print(f"{count(len(lost), 'image file')} could not be read: run `modelkeep doctor`.")
