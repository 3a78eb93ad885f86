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
from collections.abc import Callable, Iterator, Sequence
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

PREPARED_NAME = "rows.sqlite3"

COMPUTING_SECONDS_MAX = 600
MEMORY_BYTES_MAX = 4 * 2**30
FILE_BYTES_MAX = 64 * 2**30
"""What reading may take; a hundred thousand rows take two seconds and 300 MB."""


Prepares = Callable[[Path, str, Sequence[LegacyRow]], bool]
"""Makes a file of rows of a kind of source, if there are any for it; can be pickled."""


async def read_apart(importer: Importer, options: SourceOptions, prepare: Prepares | None = None) -> SourceContent:
    """Read a source in another process; when this is cancelled, that process is ended and leaves nothing behind.

    Args:
        importer: reads it; it travels to the other process.
        options: where the source lies.
        prepare: makes the file of prepared rows.

    Raises:
        SourceError: it cannot be read at all, or takes more time or memory than a source may.
    """
    pool = WorkerPool(1, _bound_resources)
    scratch, kept = _private_folder(options), None
    try:
        content, rows, records = await pool.run(_read, importer, replace(options, scratch=scratch), prepare)
        whole = await asyncio.to_thread(_unpack, content, rows, records)
        kept = whole.prepared
    except WorkerDied as error:
        raise _took_too_much(options.source) from error
    finally:
        await asyncio.to_thread(pool.abandon, END_SECONDS)
        if kept is None:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return whole


@collector_paused()
def _read(
    importer: Importer, options: SourceOptions, prepare: Prepares | None
) -> tuple[SourceContent, list[bytes], list[bytes]]:
    try:
        content = importer.read(options)
        if prepare is not None and options.scratch is not None:
            path = options.scratch / PREPARED_NAME
            is_made = bool(content.rows) and prepare(path, content.kind, content.rows)
            content = replace(content, prepared=path if is_made else None)
        return _pack(content)
    except MemoryError as error:
        raise _took_too_much(options.source) from error
    except sqlite3.Error as error:
        raise SourceError(f"the rows of {options.source} could not be prepared: {error}") from error


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
