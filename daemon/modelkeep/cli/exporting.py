"""Carry out an export in this process: what is known comes from the daemon where it runs, else from the files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep.cli.models import the_one
from modelkeep.cli.reading import Reader, open_reader
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.exported import ExportedFiles
from modelkeep.exporters.base import Order
from modelkeep.exporters.exporting import Export, ExportOptions, FileOutcome
from modelkeep.exporters.registry import EXPORTERS
from modelkeep.images.files import read_image
from modelkeep.images.paths import ImagePaths
from modelkeep.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, see `exporters.exporting.ExportOptions`; `models` names some, none for all."""

    kind: str
    models: tuple[str, ...] = ()
    only: tuple[Path, ...] = ()
    to: Path | None = None
    prefer_ours: bool = False
    with_texts: bool = False
    previews: bool = True
    dry_run: bool = False


def export_files(settings: Settings, wanted: Wanted) -> Iterator[FileOutcome]:
    """Write the files, and yield what became of each.

    Raises:
        NotFound: a model is named that there is not, or that is not the only one meant.
    """
    directory = DataDirectory(settings.data_dir)
    options = ExportOptions(
        settings.model_roots(),
        settings.watch.extensions,
        tuple(map(str, wanted.only)),
        wanted.to,
        Order(wanted.prefer_ours, with_texts=wanted.with_texts),
        wanted.dry_run,
        wanted.previews,
    )
    exported = ExportedFiles(directory.exported)
    export = Export(EXPORTERS[wanted.kind], options, exported, _Pictures(directory).as_png)
    with open_reader(settings) as reader:
        for sha256 in _meant(reader, wanted.models):
            yield from export.files(reader.get("/api/models/{sha256}/details", sha256=sha256))


def _meant(reader: Reader, models: tuple[str, ...]) -> list[str]:
    if models:
        return list(dict.fromkeys(the_one(reader, model) for model in models))
    return [row["sha256"] for row in reader.rows("/api/models", 0)]


class _Pictures:
    """The images of models, as other tools show them."""

    def __init__(self, directory: DataDirectory) -> None:
        self._images = ImagePaths(directory.images)

    def as_png(self, sha256: str, seq: int) -> bytes:
        """Return an image as PNG.

        Raises:
            ImageError: it cannot be read.
        """
        from modelkeep.images.tiers import as_png

        path = self._images.published_path(sha256, seq, "high")
        return as_png(read_image(str(path)), path.name)
