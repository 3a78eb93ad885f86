"""Read a legacy source in a process of its own: whatever a foreign file does to a reader ends with that process.

A call into SQLite cannot be called off, so a thread that reads could hold up the stop of the daemon for ever.
"""

import asyncio
import pickle
import resource
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from modelkeep.base.collector import collector_paused
from modelkeep.base.workers import END_SECONDS, WorkerPool
from modelkeep.domain.legacy import LegacyRow
from modelkeep.errors import SourceError, WorkerDied
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.sqlite_copy import SCRATCH_PREFIX, unreadable

COMPUTING_SECONDS_MAX = 600
MEMORY_BYTES_MAX = 4 * 2**30
FILE_BYTES_MAX = 64 * 2**30
"""What reading may take; a hundred thousand rows take two seconds and 300 MB."""


async def read_apart(importer: Importer, options: SourceOptions) -> SourceContent:
    """Read a source in another process; when this is cancelled, that process is ended and leaves nothing behind.

    Args:
        importer: reads it; it travels to the other process.
        options: where the source lies.

    Raises:
        SourceError: it cannot be read at all, or takes more time or memory than a source may.
    """
    pool = WorkerPool(1, _bound_resources)
    scratch = _private_folder(options)
    try:
        content, rows, records = await pool.run(_read, importer, replace(options, scratch=scratch))
        return await asyncio.to_thread(_unpack, content, rows, records)
    except WorkerDied as error:
        raise _took_too_much(options.source) from error
    finally:
        await asyncio.to_thread(pool.abandon, END_SECONDS)
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _read(importer: Importer, options: SourceOptions) -> tuple[SourceContent, list[bytes], list[bytes]]:
    try:
        return _pack(importer.read(options))
    except MemoryError as error:
        raise _took_too_much(options.source) from error


T = TypeVar("T")

_ROWS_AT_ONCE = 2000
_RECORDS_AT_ONCE = 100
_NAMES = tuple(field.name for field in fields(LegacyRow))
_values_of = attrgetter(*_NAMES)
_SETTERS = tuple(getattr(LegacyRow, name).__set__ for name in _NAMES)


def _pack(content: SourceContent) -> tuple[SourceContent, list[bytes], list[bytes]]:
    """Return content without its rows and records, and these piece by piece.

    Rows travel as tuples, for as objects they would take as long as reading them; and both in pieces, for while one
    is unpacked nothing else runs in the daemon.
    """
    with collector_paused():
        rows = [pickle.dumps(list(map(_values_of, piece)), 5) for piece in _pieces(content.rows, _ROWS_AT_ONCE)]
        records = [pickle.dumps(piece, 5) for piece in _pieces(content.records, _RECORDS_AT_ONCE)]
        return replace(content, rows=(), records=()), rows, records


def _pieces(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _unpack(content: SourceContent, rows: list[bytes], records: list[bytes]) -> SourceContent:
    with collector_paused():
        return replace(content, rows=tuple(map(_row_of, _loaded(rows))), records=tuple(_loaded(records)))


def _loaded(pieces: list[bytes]) -> Iterator[Any]:
    for piece in pieces:
        yield from pickle.loads(piece)  # noqa: S301 - our own process wrote it


def _row_of(values: tuple[Any, ...]) -> LegacyRow:
    # Its constructor sets each field by name, which takes five times as long.
    row = object.__new__(LegacyRow)
    for put, value in zip(_SETTERS, values, strict=True):
        put(row, value)
    return row


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
