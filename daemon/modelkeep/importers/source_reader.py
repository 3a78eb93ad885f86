"""What runs in the process that reads a source. Loads nothing but what reading needs: it starts for each import."""

import pickle
import resource
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from modelkeep.base.collector import collector_paused
from modelkeep.domain.faults import FULL
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import LegacyRow
from modelkeep.errors import SourceError
from modelkeep.importers.base import Importer, SourceContent, SourceOptions
from modelkeep.importers.sqlite_copy import unreadable

PREPARED_NAME = "rows.sqlite3"

COMPUTING_SECONDS_MAX = 600
MEMORY_BYTES_MAX = 4 * 2**30
FILE_BYTES_MAX = 64 * 2**30
"""What reading may take; a hundred thousand rows take two seconds and 300 MB."""


Prepares = Callable[[Path, str, str, Sequence[LegacyRow]], None]
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
        content = importer.read(options)
        if content.rows and options.scratch is not None:
            path = options.scratch / PREPARED_NAME
            prepare(path, content.kind, content.source, content.rows)
            content = replace(content, rows=(), prepared=path, summary=content.told)
        return replace(content, records=()), _packed(content.records)
    except MemoryError as error:
        raise took_too_much(options.source) from error
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
