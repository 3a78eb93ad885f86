"""Read a legacy source in a process of its own: whatever a foreign file does to a reader ends with that process.

A call into SQLite cannot be called off, so a thread that reads could hold up the stop of the daemon for ever.
"""

import asyncio
import pickle
import resource
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from modelkeep.base.collector import collector_paused
from modelkeep.base.workers import END_SECONDS, WorkerPool
from modelkeep.domain.faults import FULL
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import LegacyRow
from modelkeep.errors import SourceError, WorkerDied
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX, unreadable

PREPARED_NAME = "rows.sqlite3"

COMPUTING_SECONDS_MAX = 600
MEMORY_BYTES_MAX = 4 * 2**30
FILE_BYTES_MAX = 64 * 2**30
"""What reading may take; a hundred thousand rows take two seconds and 300 MB."""


Prepares = Callable[[Path, str, Sequence[LegacyRow]], None]
"""Makes a file of the rows of a kind of source; can be pickled."""


async def read_apart(importer: Importer, options: SourceOptions, prepare: Prepares) -> SourceContent:
    """Read a source in another process; when this is cancelled, that process is ended and leaves nothing behind.

    Args:
        importer: reads it; it travels to the other process.
        options: where the source lies.
        prepare: makes the file in which rows are handed over.

    Raises:
        SourceError: it cannot be read at all, or takes more time or memory than a source may.
    """
    pool = WorkerPool(1, _bound_resources)
    scratch, is_kept = _private_folder(options), False
    try:
        try:
            content, records = await pool.run(_read, importer, replace(options, scratch=scratch), prepare)
        finally:
            await asyncio.to_thread(pool.abandon, END_SECONDS)
        whole = await asyncio.to_thread(_unpack, content, records)
        is_kept = whole.prepared is not None
    except WorkerDied as error:
        raise _took_too_much(options.source) from error
    finally:
        if not is_kept:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return whole


@collector_paused()
def _read(importer: Importer, options: SourceOptions, prepare: Prepares) -> tuple[SourceContent, list[bytes]]:
    try:
        content = importer.read(options)
        if content.rows and options.scratch is not None:
            path = options.scratch / PREPARED_NAME
            prepare(path, content.kind, content.rows)
            content = replace(content, rows=(), prepared=path, summary=content.told)
        return replace(content, records=()), _packed(content.records)
    except MemoryError as error:
        raise _took_too_much(options.source) from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise unreadable(Path(error.filename or options.source), error) from error
    except sqlite3.Error as error:
        raise SourceError(f"the rows of {options.source} could not be prepared: {error}") from error


_RECORDS_AT_ONCE = 100


def _packed(records: Sequence[SourceRecord]) -> list[bytes]:
    """Return records piece by piece, for while one is unpacked nothing else runs in the daemon."""
    starts = range(0, len(records), _RECORDS_AT_ONCE)
    return [pickle.dumps(records[start : start + _RECORDS_AT_ONCE], 5) for start in starts]


def _unpack(content: SourceContent, pieces: list[bytes]) -> SourceContent:
    with collector_paused():
        loaded = map(pickle.loads, pieces)  # our own process wrote them
        return replace(content, records=tuple(chain.from_iterable(loaded)))


def _private_folder(options: SourceOptions) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=options.scratch))
    except OSError as error:
        raise unreadable(Path(options.scratch or tempfile.gettempdir()), error) from error


def _bound_resources() -> None:
    for what, most in (
        (resource.RLIMIT_CPU, COMPUTING_SECONDS_MAX),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, hard))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def _took_too_much(source: Path) -> SourceError:
    return SourceError(
        f"{source} could not be read: the process that read it was killed, or took more than"
        f" {MEMORY_BYTES_MAX // 2**30} GB of memory or {COMPUTING_SECONDS_MAX // 60} minutes; check what it holds"
    )
