"""What runs in the process that reads a source. Loads nothing but what reading needs: it starts for each import."""

import pickle
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from modelkeep.base.collector import collector_paused
from modelkeep.domain.faults import FULL
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import LegacyRow
from modelkeep.errors import SourceError
from modelkeep.importers.base import Importer, SourceContent, SourceOptions, Summing
from modelkeep.importers.sqlite_copy import unreadable

PREPARED_NAME = "rows.sqlite3"

COMPUTING_SECONDS_MAX = 600
MEMORY_BYTES_MAX = 4 * 2**30
FILE_BYTES_MAX = 64 * 2**30
"""What reading may take; a hundred thousand rows take two seconds and 100 MB."""


Prepares = Callable[[Path, str, str, Iterable[LegacyRow]], None]
"""Makes a file of the rows of a source, of whose kind and name it is told; can be pickled."""


@collector_paused()
def read(importer: Importer, options: SourceOptions, prepare: Prepares) -> tuple[SourceContent, list[bytes]]:
    """Return what a source says, with its rows in a file and its records apart, in pieces.

    Args:
        importer: reads it.
        options: where the source lies, and where the file of its rows is made.
        prepare: makes that file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        if options.scratch is not None:
            options = replace(options, hand_over=partial(_hand_over, options.scratch / PREPARED_NAME, prepare))
        content = importer.read(options)
        if content.rows and options.hand_over is not None:
            told = options.hand_over(content.kind, content.source, content.rows)
            content = replace(content, rows=(), prepared=told.prepared, summary=told.summary)
        return replace(content, records=()), _packed(content.records)
    except MemoryError as error:
        raise took_too_much(options.source) from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise unreadable(Path(error.filename or options.source), error) from error


def _hand_over(path: Path, prepare: Prepares, kind: str, source: str, rows: Iterable[LegacyRow]) -> SourceContent:
    """Make the file of rows while they are read."""
    summing = Summing(_read_from(rows))
    try:
        prepare(path, kind, source, summing)
    except _ReadingFailed as error:
        raise error.error from None
    except sqlite3.Error as error:
        raise SourceError(f"the rows of {source} could not be prepared: {error}") from error
    return SourceContent(kind, source, (), prepared=path if summing.summary.count else None, summary=summing.summary)


class _ReadingFailed(Exception):
    """Rows could not be read: that is another's failure than not to be able to write them, of the same kind."""

    def __init__(self, error: sqlite3.Error) -> None:
        super().__init__(error)
        self.error = error


def _read_from(rows: Iterable[LegacyRow]) -> Iterator[LegacyRow]:
    try:
        yield from rows
    except sqlite3.Error as error:
        raise _ReadingFailed(error) from error


_RECORDS_AT_ONCE = 100


def _packed(records: Sequence[SourceRecord]) -> list[bytes]:
    """Return records piece by piece, for while one is unpacked nothing else runs in the daemon."""
    starts = range(0, len(records), _RECORDS_AT_ONCE)
    return [pickle.dumps(records[start : start + _RECORDS_AT_ONCE], 5) for start in starts]


def bound_resources() -> None:
    """Bound what this process may take."""
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


def took_too_much(source: Path) -> SourceError:
    """Return the error of a source that takes more than it may."""
    return SourceError(
        f"{source} could not be read: the process that read it was killed, or took more than"
        f" {MEMORY_BYTES_MAX // 2**30} GB of memory or {COMPUTING_SECONDS_MAX // 60} minutes; check what it holds"
    )
