"""Run an import for whoever asks: as a stream of its progress and, at last, its report."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from modelkeep.base.clock import now_ms
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.imports import StageOne
from modelkeep.changes.record_imports import RecordImports
from modelkeep.changes.row_import import CALLED_OFF
from modelkeep.disk.exported import ExportedFiles
from modelkeep.disk.looks import DiskLooks
from modelkeep.domain.archive_taking import SOURCE as ARCHIVE
from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.faults import STORAGE, explained
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.naming import MODEL_EXTENSIONS, PathMap
from modelkeep.domain.values import RenderedImage
from modelkeep.errors import ImportStopped, NotFound, SourceError, StorageError
from modelkeep.images.store import ImageStore
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.report import ImportReport, Progress
from modelkeep.service.holdings import Holdings


async def import_stream(
    holdings: Holdings,
    order: ImportOrder,
    running: "Running | None" = None,
    looks: DiskLooks | None = None,
    *,
    roots: Iterable[str] = (),
    extensions: Sequence[str] = MODEL_EXTENSIONS,
    fallback_encoding: str = FALLBACK_ENCODING,
) -> AsyncIterator[dict[str, object]]:
    """Yield `{"progress": …}` again and again, and at last `{"report": …}`.

    Args:
        holdings: what is kept.
        order: what is to be imported.
        running: notes the import, which is then brought to its end although nobody listens to it any more; without
            it, the import ends with its listener.
        looks: looks at the files of rows.
        roots: the watched folders.
        extensions: endings of model files.
        fallback_encoding: of texts beside models that are no UTF-8.

    Raises:
        SourceError: the source cannot be read; before the first value.
        ImportStopped: it was called off.
        StorageError: images cannot be written.
    """
    progress: asyncio.Queue[Progress] = asyncio.Queue()
    work = asyncio.create_task(
        _begun(holdings, order, looks, roots, extensions, fallback_encoding, _thread_safe(progress))
    )
    if running is not None:
        running.note(work)
    async for step in _until_done(progress, work, outlives=running is not None):
        yield {"progress": {"phase": step.phase, "done": step.done, "total": step.total}}
    yield {"report": work.result().as_json()}


def _begun(
    holdings: Holdings,
    order: ImportOrder,
    looks: DiskLooks | None,
    roots: Iterable[str],
    extensions: Sequence[str],
    fallback_encoding: str,
    progress: Callable[[Progress], None],
) -> Coroutine[Any, Any, ImportReport]:
    """Return the import that is asked for.

    Raises:
        SourceError: it cannot be.
    """
    # Imports are rare: what reads all the sources is loaded for the first of them.
    from modelkeep.catalogue.prepared import prepare_news
    from modelkeep.importers.reading import read_apart
    from modelkeep.importers.registry import importer_for

    if order.kind == ARCHIVE:
        return _archive_import(holdings, order, looks, progress)

    async def read(importer: Importer, options: SourceOptions) -> SourceContent:
        return await read_apart(importer, options, partial(prepare_news, catalogue=holdings.directory.catalogue))

    importer = importer_for(order.kind)
    options = SourceOptions(
        _absolute(order.source, "the source"),
        images=_absolute(order.images, "the folder of images") if order.images else None,
        path_map=PathMap(order.path_map),
        scratch=holdings.directory.path,
        roots=tuple(map(Path, roots)),
        extensions=tuple(extensions),
        fallback_encoding=fallback_encoding,
    )
    stage = StageOne(
        holdings.catalogue,
        _ImportedImages(holdings.images),
        holdings.journal,
        holdings.changes,
        now_ms,
        read=read,
        looks=looks,
        records=RecordImports(
            holdings.catalogue,
            holdings.changes,
            holdings.journal,
            now_ms,
            ExportedFiles(holdings.directory.exported).holds,
            looks,
        ),
    )
    return stage.run(importer, options, dry_run=order.dry_run, again=order.again, progress=progress)


def _archive_import(
    holdings: Holdings, order: ImportOrder, looks: DiskLooks | None, progress: Callable[[Progress], None]
) -> Coroutine[Any, Any, ImportReport]:
    from modelkeep.changes.archives import ArchiveImports

    archives = ArchiveImports(
        holdings.catalogue,
        holdings.images,
        holdings.changes,
        holdings.journal,
        now_ms,
        holdings.directory.path,
        looks,
    )
    source = _absolute(order.source, "the archive")
    return archives.run(source, PathMap(order.path_map), progress, dry_run=order.dry_run)


class Running:
    """The imports that are at work."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[ImportReport]] = set()

    @property
    def is_any(self) -> bool:
        """Whether there is one."""
        return bool(self._tasks)

    def note(self, work: asyncio.Task[ImportReport]) -> None:
        """Record an import until it is done."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Call all of them off, and wait until each has taken everything or nothing."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _ImportedImages:
    """The images as an import uses them: what the disk refuses is told in a sentence."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    async def render(self, source: Path, stem: str) -> RenderedImage:
        """Render the tiers of an image."""
        with _faults_explained():
            return await self._images.render(source, stem)

    def stage_copy(self, source: Path, stem: str) -> str:
        """Copy an image to the staging folder."""
        with _faults_explained():
            return self._images.stage_copy(source, stem)

    async def check(self, source: Path) -> None:
        """Make sure that a file is an image."""
        with _faults_explained():
            await self._images.check(source)

    async def check_copy(self, staged: str, source: Path) -> None:
        """Make sure that a staged copy is an image."""
        with _faults_explained():
            await self._images.check_copy(staged, source)

    def place_pending(self, staged: str, name: str) -> None:
        """Move a staged copy to its name."""
        with _faults_explained():
            self._images.place_pending(staged, name)

    def sync_pending(self) -> None:
        """Make the names of pending images durable."""
        with _faults_explained():
            self._images.sync_pending()

    def remove_pending(self, name: str) -> None:
        """Remove a pending image."""
        with _faults_explained():
            self._images.remove_pending(name)

    def discard(self, staged: Iterable[str]) -> None:
        """Delete staged files."""
        self._images.discard(staged)


@contextmanager
def _faults_explained() -> Generator[None, None, None]:
    """Turn what a disk answers that is full or may not be written into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in STORAGE:
            raise
        raise StorageError(explained(error, "the images")) from error


def is_reading(value: Mapping[str, object]) -> bool:
    """Return whether a value of the stream says no more than that the source is being read."""
    progress = value.get("progress")
    return isinstance(progress, dict) and progress["phase"] == "reading"


async def _until_done(
    progress: asyncio.Queue[Progress], work: asyncio.Task[ImportReport], *, outlives: bool
) -> AsyncIterator[Progress]:
    try:
        while not work.done():
            waiting = asyncio.ensure_future(progress.get())
            await asyncio.wait({waiting, work}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield waiting.result()
            else:
                waiting.cancel()
    finally:
        if not outlives:
            work.cancel()
        await asyncio.shield(asyncio.wait({work}))
    if work.cancelled():
        raise ImportStopped(CALLED_OFF)
    work.result()


async def require_rows(catalogue: Catalogue, pending_ids: Sequence[int] | None) -> None:
    """Raise NotFound when one of these rows is not in the queue."""
    known = await catalogue.pendings(pending_ids) if pending_ids else {}
    for pending_id in pending_ids or ():
        if pending_id not in known:
            raise NotFound(f"there is no row {pending_id} in the queue")


def _thread_safe(progress: asyncio.Queue[Progress]) -> Callable[[Progress], None]:
    loop = asyncio.get_running_loop()

    def put(step: Progress) -> None:
        loop.call_soon_threadsafe(progress.put_nowait, step)

    return put


def _absolute(text: str, what: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # `~name` of a user whom nobody knows
        raise SourceError(f"{what} names a home folder that is not known: {text!r}; give an absolute path") from error
    if not path.is_absolute():
        raise SourceError(f"{what} has to be an absolute path, not {text!r}")
    return path
