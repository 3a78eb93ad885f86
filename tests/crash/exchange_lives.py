"""The short lives that write for other tools, and take in what others have: exports, archives, images of orphans."""

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.archives import write_archive
from tests.crash.job import Job
from tests.crash.lives import Acknowledge

from modelkeep.base.clock import now_ms
from modelkeep.changes.adoption import Adoption
from modelkeep.changes.owner import OwnerActs
from modelkeep.changes.source_images import SourceImages
from modelkeep.disk.exported import ExportedFiles
from modelkeep.domain.adopting import Arrival
from modelkeep.domain.archive import Archive, ArchivedRow
from modelkeep.domain.archive_taking import SOURCE
from modelkeep.domain.knowledge import ImageFile, SourceRecord
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.naming import Root
from modelkeep.exporters.archive import NewArchive
from modelkeep.exporters.exporting import CHANGED, CREATED, FAILED, Export, ExportOptions
from modelkeep.exporters.registry import EXPORTERS
from modelkeep.service.holdings import open_holdings
from modelkeep.service.importing import import_stream
from modelkeep.settings.model import Settings

THEIRS = b'{"their own key": 1, "notes": "theirs"}'
"""A sidecar that is there before the export."""


@dataclass(frozen=True)
class Exports:
    """Where the program `exports` writes, in its data folder.

    Args:
        data_dir: the data folder.
    """

    data_dir: Path

    @property
    def models(self) -> Path:
        """The folder of models, of which one has a sidecar already."""
        return self.data_dir / "models"

    @property
    def archive(self) -> Path:
        """The archive."""
        return self.data_dir / "all.zip"

    @property
    def files(self) -> dict[str, Path]:
        """What is written, by what is acknowledged then."""
        sidecars = {outcome: self.models / f"{outcome}.json" for outcome in (CHANGED, CREATED)}
        return {**sidecars, "archived": self.archive}

    @property
    def noted(self) -> Path:
        """Notes of what was written."""
        return self.data_dir / "exported"

    def prepare(self) -> None:
        """Put models there, and a sidecar beside one of them."""
        self.models.mkdir(parents=True)
        for outcome in (CHANGED, CREATED):
            self.files[outcome].with_suffix(".safetensors").touch()
        self.files[CHANGED].write_bytes(THEIRS)


async def export(job: Job, acknowledge: Acknowledge) -> None:
    """Complete a sidecar, write another and an archive; acknowledges each.

    An export before it was killed when it had noted what it would write, and had not synced that.
    """
    places = Exports(Path(job.data_dir))
    with patch.object(os, "fsync", side_effect=OSError("killed")):
        assert _exported(places, CHANGED) == FAILED
    for outcome in (CHANGED, CREATED):
        acknowledge(_exported(places, outcome))
    everything = Archive(pending=(ArchivedRow("/models/a.safetensors", image="a.png"),))
    write_archive(places.archive, everything, lambda _: b"", lambda _: bytes(100_000))
    acknowledge("archived")


def _exported(places: Exports, name: str) -> str:
    """Write one sidecar as a command of its own does; returns what became of it."""
    options = ExportOptions([Root(str(places.models))], (".safetensors",))
    export = Export(EXPORTERS["webui"], options, ExportedFiles(places.noted), lambda *_: b"")
    (outcome,) = export.files(_details(places.files[name]))
    return outcome.outcome


def _details(sidecar: Path) -> dict[str, Any]:
    path = str(sidecar.with_suffix(".safetensors"))
    model = {"sha256": "1" * 64, "name": sidecar.stem, "type": "loras", "path": path, "size_bytes": 0}
    known = {"created_at": 1, "tags": [], "meta_json": {"description": "ours"}}
    return {
        "model": model | known,
        "locations": [{"path": path, "state": "present", "claimed": False}],
        "images": [],
        "base": "",
        "sources": {"webui": [{"key": str(sidecar), "kind": "webui", "raw": {}}]},
    }


async def make_archive(job: Job, acknowledge: Acknowledge) -> None:
    """Write all that a data folder holds into an archive."""
    async with open_holdings(Settings(data_dir=Path(job.data_dir)), "a test") as kept:
        published, stored = kept.directory.images, kept.images
        with NewArchive(Path(job.source)) as archive:
            await kept.catalogue.archived(archive.keep)
            lost = archive.write(
                lambda name: (published / name).read_bytes(),
                lambda name: stored.pending_path(name).read_bytes(),
                "a test",
                1,
            )
        assert not lost
    acknowledge("archived")


async def take_archive(job: Job, acknowledge: Acknowledge) -> None:
    """Take an archive into a data folder in which nothing is known."""
    async with open_holdings(Settings(data_dir=Path(job.data_dir)), "a test") as kept:
        acknowledge("recovered")
        async for _ in import_stream(kept, ImportOrder(SOURCE, job.source)):
            pass
        acknowledge("done")
    acknowledge("closed")


async def keep_image_of_orphan(job: Job, acknowledge: Acknowledge) -> None:
    """Take in what another tool says of a model that is not there, and keep its image."""
    async with open_holdings(Settings(data_dir=Path(job.data_dir)), "a test") as kept:
        images = (ImageFile(job.source),)
        orphan = SourceRecord("webui", "/models/a.json", "1", ("/models/a.safetensors",), images=images)
        await Adoption(kept.catalogue, kept.changes, now_ms).take([Arrival(orphan)])
        acts = OwnerActs(kept.catalogue, kept.images, kept.changes, now_ms)
        await SourceImages(kept.catalogue, kept.images, acts, kept.journal.append_many).take()
        acknowledge("kept")


PROGRAMS: dict[str, Callable[[Job, Acknowledge], Coroutine[Any, Any, None]]] = {
    "exports": export,
    "archive": make_archive,
    "archive import": take_archive,
    "image of an orphan": keep_image_of_orphan,
}
