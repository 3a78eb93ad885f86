"""A data folder as a daemon leaves it, made through its own parts, into which each test puts one defect by hand."""

import asyncio
import hashlib
import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from PIL import Image

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.doctor.examination import Examination, examine
from modelkeep.doctor.findings import Finding, Severity
from modelkeep.doctor.repair import RepairReport, repair
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.legacy import LegacyRow, StagedRow, TakenRows
from modelkeep.domain.migration import MigrationOrder, MigrationResult, Outcome
from modelkeep.domain.values import Strategy
from modelkeep.images.render import render
from modelkeep.images.store import ImageStore
from modelkeep.journal.reader import read
from modelkeep.journal.writer import JournalWriter
from modelkeep.settings.model import Settings

P = ParamSpec("P")
T = TypeVar("T")
Snapshot = dict[str, tuple[Any, ...]]

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
NOW = 1_735_689_600_000
QUALITIES = ("high", "medium", "low")


class NoWorkers:
    """Stands where nothing is decoded."""

    workers = 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        raise AssertionError("nothing has to be decoded here")

    def abandon(self) -> bool:
        """Do nothing."""
        return True


class House:
    """A data folder with its root.

    Model A has two images and two locations, model B none, model C an original that could not be used. One row of
    the queue waits with its original, one is in conflict with A.
    """

    def __init__(self, folder: Path, fresh_file: Path) -> None:
        self.root = folder / "models"
        self.directory = DataDirectory(folder / "data")
        self.images = self.directory.images
        self.pending = self.images / "pending"
        self.staging = self.images / ".staging"
        self.put_aside = self.images / "lost+found"
        self.settings = Settings.model_validate(
            {"data_dir": self.directory.path, "roots": [{"path": self.root}], "api": {"port": 0, "socket": ""}}
        )
        self.directory.path.mkdir()
        shutil.copy(fresh_file, self.directory.catalogue)
        asyncio.run(self._furnish(folder))

    # What is asked of it

    def examine(self) -> Examination:
        return examine(self.settings)

    def wrong(self, check: str = "") -> list[Finding]:
        """Return what a doctor finds wrong, of one check if it is named."""
        found = [finding for finding in self.examine().findings if finding.is_wrong]
        return [finding for finding in found if check in ("", finding.check)]

    def the_wrong(self, check: str) -> Finding:
        """Return the one thing that is wrong, which has to be what a check says."""
        (finding,) = self.wrong()
        assert finding.check == check
        return finding

    def notes(self, check: str) -> list[str]:
        found = self.examine().findings
        return [one.sentence for one in found if one.check == check and one.severity is Severity.NOTE]

    def repair(self) -> RepairReport:
        return asyncio.run(repair(self.settings))

    def journal(self, event: str) -> list[dict[str, object]]:
        return [record for record in read(self.directory.journal) if record["event"] == event]

    # What is done to it

    def execute(self, script: str) -> None:
        """Let another program write to the catalogue."""
        with closing(sqlite3.connect(self.directory.catalogue)) as connection:
            connection.executescript(script)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.directory.catalogue}?mode=ro&immutable=1", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        names = [name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(self.rows(f'SELECT * FROM "{name}"'), key=repr) for name in names}

    def tier(self, quality: str, sha256: str = A, seq: int = 0) -> Path:
        return self.images / f"{sha256}_{seq}_{quality}.webp"

    def files(self) -> Snapshot:
        """Return every image file with its content."""
        return {name: facts[-1:] for name, facts in snapshot(self.images).items() if facts[-1]}

    # How it was made

    async def _furnish(self, folder: Path) -> None:
        catalogue = Catalogue(self.directory.catalogue)
        journal = JournalWriter.open(self.directory.journal)
        try:
            await _Furnishing(self, catalogue, ImageStore(self.images, NoWorkers()), journal, folder).furnish()
        finally:
            journal.close()
            catalogue.close()


class _Furnishing:
    def __init__(
        self, house: House, catalogue: Catalogue, images: ImageStore, journal: JournalWriter, folder: Path
    ) -> None:
        self.house, self.catalogue, self.images, self.journal = house, catalogue, images, journal
        self.drawings = folder / "drawings"

    async def furnish(self) -> None:
        self.drawings.mkdir()
        names = ("one", "copy of one", "plain", "odd", "waiting", "contested")
        rows = [self._row(number, name) for number, name in enumerate(names, 1)]
        self.journal.write("import.started", kind="hikaze", source="/old.sqlite3")
        await self.catalogue.import_rows("hikaze", "/old.sqlite3", rows, NOW, self._place)
        self.journal.write("import.finished", kind="hikaze", source="/old.sqlite3")
        for pending_id, (sha256, strategy) in enumerate(
            ((A, Strategy.AUTO), (A, Strategy.AUTO), (B, Strategy.AUTO), (C, Strategy.AUTO)), 1
        ):
            await self._migrate(pending_id, sha256, strategy)
        await self._migrate(6, A, Strategy.ASK)

    def _row(self, number: int, name: str) -> StagedRow:
        file = self.house.root / "loras" / f"{name}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
        image = self.drawings / f"{number}.png"
        Image.effect_noise((90 + number, 60), 80).save(image)
        copied = "" if name == "plain" else self.images.stage_copy(image, f"copy{number}")
        legacy = LegacyRow(str(number), f"digest {number}", str(file), str(file), image=str(image))
        return StagedRow(legacy, None, copied, Fingerprint.from_stat(file.stat()))

    def _place(self, taken: TakenRows) -> None:
        for row in taken.rows:
            if row.pending_image:
                self.images.place_pending(f"copy{row.row.key}.png", row.pending_image)

    async def _migrate(self, pending_id: int, sha256: str, strategy: Strategy) -> None:
        row = await self.catalogue.pending(pending_id)
        assert row is not None
        status = _fingerprint(row.path)
        refused = "it is broken" if sha256 == C else ""
        migration = f"migration{pending_id}"
        order = MigrationOrder(migration, row.id, row.path, sha256, status, strategy, image_refused=refused)
        if row.image and not refused and strategy is not Strategy.ASK:
            source = self.images.pending_path(row.image)
            rendered = render(str(source), str(self.house.staging), migration)
            order = MigrationOrder(migration, row.id, row.path, sha256, status, strategy, rendered)
        (result,) = await self.catalogue.migrate([order], [], NOW, self._plan)
        self.images.publish(result.files)
        if result.files:
            self.images.remove_pending(row.image)
        if result.outcome is Outcome.DONE:
            self.journal.write("migration.finished", migration=migration, path=row.path)

    def _plan(self, results: Sequence[MigrationResult]) -> None:
        for result in results:
            if result.outcome is Outcome.DONE:
                self.journal.write("migration.planned", migration=result.order.migration, path=result.order.path)


def _fingerprint(path: str) -> Fingerprint:
    return Fingerprint.from_stat(Path(path).stat())


@pytest.fixture
def house(tmp_path: Path, fresh_file: Path) -> House:
    return House(tmp_path, fresh_file)


def snapshot(folder: Path) -> Snapshot:
    """Return everything below a folder, itself included: kind, times, rights, and the digest of its content."""
    found: Snapshot = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[os.fsdecode(path.relative_to(folder))] = (status.st_mtime_ns, status.st_mode, status.st_size, digest)
    return found


def encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()
