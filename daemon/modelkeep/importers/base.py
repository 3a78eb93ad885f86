"""What every importer is: something that reads a legacy source, read-only, into rows of one shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import LegacyRow, Refusal
from modelkeep.domain.naming import MODEL_EXTENSIONS, PathMap


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Where a legacy source lies and how its paths are to be read.

    `images` is the folder of its images when it is not where the source's own program keeps it, `scratch` the
    folder in which a private copy may be made (None: the system's folder for temporary files), `roots` the watched
    folders, for sources that name models without their folders, `extensions` the endings of model files,
    `fallback_encoding` that of texts beside models which are no UTF-8.
    """

    source: Path
    images: Path | None = None
    path_map: PathMap = field(default_factory=PathMap)
    scratch: Path | None = None
    roots: tuple[Path, ...] = ()
    extensions: tuple[str, ...] = MODEL_EXTENSIONS
    fallback_encoding: str = FALLBACK_ENCODING


@dataclass(frozen=True, slots=True)
class SourceContent:
    """Everything a source says: each of its rows is either in `rows` or in `refusals`.

    `source` is the resolved path of what was read; `records` are for sources that are kept whole, record by record;
    `remarks` are about the source as a whole, their `key` is empty.
    `prepared` is a file that holds the rows as the catalogue will; then there are none of them in `rows`, and
    `summary` says the rest. Its folder goes with it.
    """

    kind: str
    source: str
    rows: tuple[LegacyRow, ...]
    refusals: tuple[Refusal, ...] = ()
    remarks: tuple[Refusal, ...] = ()
    records: tuple[SourceRecord, ...] = ()
    prepared: Path | None = None
    summary: "RowSummary | None" = None

    @property
    def told(self) -> "RowSummary":
        """What is told of its rows."""
        return self.summary or summed_up(self.rows)


PATHS_TOLD = 200
"""Paths in a source that are told when not one of its files is where it says."""


@dataclass(frozen=True, slots=True)
class RowSummary:
    """What is told of rows: how many there are, what was odd about some, and paths in the source of some."""

    count: int
    remarks: tuple[Refusal, ...] = ()
    paths: tuple[str, ...] = ()


def summed_up(rows: Sequence[LegacyRow]) -> RowSummary:
    """Return what is told of rows."""
    odd = (Refusal(row.key, row.path, remark) for row in rows for remark in row.remarks)
    some = rows[:: len(rows) // PATHS_TOLD + 1]
    return RowSummary(len(rows), tuple(odd), tuple(row.original_path for row in some))


class Importer(Protocol):
    """Reads one kind of legacy source."""

    @property
    def kind(self) -> str:
        """Name of the kind, as the command line and the journal spell it."""

    @property
    def description(self) -> str:
        """What the kind is, in a few words for a list."""

    def read(self, options: SourceOptions) -> SourceContent:
        """Read the whole source; nothing in or beside it is created or changed.

        Raises:
            SourceError: the source cannot be read at all.
        """
