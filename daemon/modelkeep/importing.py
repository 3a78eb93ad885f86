"""Run an import for whoever asks: as a stream of its progress and, at last, its report."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.clock import now_ms
from modelkeep.domain.naming import PathMap
from modelkeep.errors import NotFound, SourceError
from modelkeep.holdings import Holdings
from modelkeep.importers.base import SourceOptions
from modelkeep.importers.registry import importer_for
from modelkeep.importers.report import ImportReport, Progress
from modelkeep.importers.stage_one import StageOne


async def import_stream(
    holdings: Holdings,
    kind: str,
    source: str,
    images: str,
    path_map: Sequence[tuple[str, str]],
    dry_run: bool,
) -> AsyncIterator[dict[str, object]]:
    """Yield `{"progress": …}` again and again, and at last `{"report": …}`.

    An import that nobody listens to any more is brought to its end all the same.

    Raises:
        SourceError: the source cannot be read; before the first value.
    """
    importer = importer_for(kind)
    options = SourceOptions(
        _absolute(source, "the source"),
        images=_absolute(images, "the folder of pictures") if images else None,
        path_map=PathMap(tuple(path_map)),
        scratch=holdings.directory.path,
    )
    stage = StageOne(holdings.catalogue, holdings.pictures, holdings.journal, now_ms)
    progress: asyncio.Queue[Progress] = asyncio.Queue()
    work = asyncio.create_task(stage.run(importer, options, dry_run=dry_run, progress=_thread_safe(progress)))
    async for step in _until_done(progress, work):
        yield {"progress": {"phase": step.phase, "done": step.done, "total": step.total}}
    yield {"report": work.result().as_json()}


def is_reading(value: Mapping[str, object]) -> bool:
    """Tell whether a value of the stream says no more than that the source is being read."""
    progress = value.get("progress")
    return isinstance(progress, dict) and progress["phase"] == "reading"


async def _until_done(progress: asyncio.Queue[Progress], work: asyncio.Task[ImportReport]) -> AsyncIterator[Progress]:
    try:
        while not work.done():
            waiting = asyncio.ensure_future(progress.get())
            await asyncio.wait({waiting, work}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield waiting.result()
            else:
                waiting.cancel()
    finally:
        await asyncio.shield(asyncio.wait({work}))
    work.result()


async def require_rows(catalogue: Catalogue, pending_ids: Sequence[int] | None) -> None:
    """Raise NotFound when one of these rows is not in the queue."""
    for pending_id in pending_ids or ():
        if await catalogue.pending(pending_id) is None:
            raise NotFound(f"there is no row {pending_id} in the queue")


def _thread_safe(progress: asyncio.Queue[Progress]) -> Callable[[Progress], None]:
    loop = asyncio.get_running_loop()

    def put(step: Progress) -> None:
        loop.call_soon_threadsafe(progress.put_nowait, step)

    return put


def _absolute(text: str, what: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise SourceError(f"{what} has to be an absolute path, not {text!r}")
    return path
