"""Read a legacy source in a process of its own: whatever a foreign file does to a reader ends with that process.

A call into SQLite cannot be called off, so a thread that reads could hold up the stop of the daemon for ever.
"""

import asyncio
import pickle
import shutil
import tempfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

from modelkeep.base.collector import collector_paused
from modelkeep.base.workers import END_SECONDS, WorkerPool
from modelkeep.errors import WorkerDied
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.source_reader import Prepares, bound_resources, read, took_too_much
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX, unreadable


async def read_apart(importer: Importer, options: SourceOptions, prepare: Prepares) -> SourceContent:
    """Read a source in another process; when this is cancelled, that process is ended and leaves nothing behind.

    Args:
        importer: reads it; it travels to the other process.
        options: where the source lies.
        prepare: makes the file in which rows are handed over.

    Raises:
        SourceError: it cannot be read at all, or takes more time or memory than a source may.
    """
    pool = WorkerPool(1, bound_resources)
    scratch, is_kept = _private_folder(options), False
    try:
        try:
            content, records = await pool.run(read, importer, replace(options, scratch=scratch), prepare)
        finally:
            await asyncio.to_thread(pool.abandon, END_SECONDS)
        whole = await asyncio.to_thread(_unpack, content, records)
        is_kept = whole.prepared is not None
    except WorkerDied as error:
        raise took_too_much(options.source) from error
    finally:
        if not is_kept:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return whole


def _unpack(content: SourceContent, pieces: list[bytes]) -> SourceContent:
    with collector_paused():
        loaded = map(pickle.loads, pieces)  # our own process wrote them
        return replace(content, records=tuple(chain.from_iterable(loaded)))


def _private_folder(options: SourceOptions) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=options.scratch))
    except OSError as error:
        raise unreadable(Path(options.scratch or tempfile.gettempdir()), error) from error
