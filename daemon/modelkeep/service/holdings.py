"""Open what is kept in the data folder, in order, under its lock: journal, catalogue, images."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from modelkeep import __version__
from modelkeep.base.troubles import Troubles
from modelkeep.base.workers import WorkerPool
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.protocol import Changes
from modelkeep.changes.recovery import recover
from modelkeep.disk.data_directory import DataDirectory
from modelkeep.disk.durable import make_folder
from modelkeep.domain.faults import explained
from modelkeep.domain.values import Record
from modelkeep.errors import StorageError
from modelkeep.images.store import ImageStore
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.writer import JournalWriter
from modelkeep.settings.model import Settings

IMAGE_WORKERS_MAX = 4


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is kept, opened."""

    directory: DataDirectory
    journal: JournalKeeper
    catalogue: Catalogue
    images: ImageStore
    image_pool: WorkerPool
    troubles: Troubles
    changes: Changes


@asynccontextmanager
async def open_holdings(
    settings: Settings, purpose: str, on_records: Callable[[Sequence[Record]], None] = lambda _: None
) -> AsyncIterator[Holdings]:
    """Lock and open the data folder, and bring to an end what a stop cut short.

    Args:
        settings: where it is.
        purpose: what the lock says of its holder.
        on_records: is told of all records of the journal.

    Raises:
        DataDirectoryBusy: another process holds it.
        JournalError: the journal cannot be read or written.
        CatalogueError: the catalogue cannot be opened.
        StorageError: the folder of images cannot be made.
    """
    directory = DataDirectory(settings.data_dir)
    with suppress(OSError):  # the lock says what is wrong with it
        make_folder(directory.path)
    directory.lock(purpose)
    try:
        journal = JournalKeeper(
            lambda: JournalWriter.open(
                directory.journal,
                segment_bytes=settings.journal.segment_bytes,
                keep_segments=settings.journal.keep_segments,
            )
        )
        journal.on_records = on_records
        try:
            async with _opened(directory, journal) as holdings:
                yield holdings
        finally:
            journal.close()
    finally:
        directory.unlock()


@asynccontextmanager
async def _opened(directory: DataDirectory, journal: JournalKeeper) -> AsyncIterator[Holdings]:
    troubles = Troubles(lambda event, fields: journal.append(event, **fields))
    journal.on_trouble = lambda error: troubles.report("journal", error) if error else troubles.clear("journal")
    last_seq = journal.seq if not directory.catalogue.exists() else 0
    catalogue = Catalogue.open(directory.catalogue)
    pool = WorkerPool(min(len(os.sched_getaffinity(0)), IMAGE_WORKERS_MAX))
    try:
        images = _open_images(directory, pool)
        changes = Changes(catalogue, images, journal, troubles)
        holdings = Holdings(directory, journal, catalogue, images, pool, troubles, changes)
        if last_seq:
            _tell_of_loss(holdings, last_seq)
        await _recover(holdings)
        yield holdings
    finally:
        pool.abandon()  # nobody waits for an image any more
        catalogue.close()


def _open_images(directory: DataDirectory, pool: WorkerPool) -> ImageStore:
    try:
        return ImageStore(directory.images, pool)
    except OSError as error:
        raise StorageError(explained(error, "the folders of images")) from error


def _tell_of_loss(holdings: Holdings, last_seq: int) -> None:
    """Say that a new catalogue was made where one must have been: it looks as if nothing had ever been known."""
    what = f"{holdings.directory.catalogue} was gone, though the journal goes up to record {last_seq}"
    error = f"{what}: a new one was made; if you have the old one or a backup, stop modelkeep and put it back"
    holdings.journal.write("catalogue.lost", error=error)


async def _recover(holdings: Holdings) -> None:
    journal = holdings.journal
    for damage in journal.damages:
        journal.write("journal.damaged", segment=damage.segment, offset=damage.offset, reason=damage.reason)
    await recover(holdings.catalogue, holdings.images, journal, holdings.changes.publisher)
    for scratch in holdings.directory.path.glob(f"{SCRATCH_PREFIX}*"):
        shutil.rmtree(scratch, ignore_errors=True)


def identity() -> dict[str, object]:
    """Return what the journal says of a process that starts or stops."""
    return {"version": __version__, "pid": os.getpid()}
