"""What every importer is: something that reads a legacy source, read-only, into rows of one shape."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
    hand_over: "HandOver | None" = None
    """Takes rows while they are read; None: all of them are returned."""


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


def summed_up(rows: Iterable[LegacyRow]) -> RowSummary:
    """Return what is told of rows."""
    summing = Summing(rows)
    deque(summing, maxlen=0)
    return summing.summary


class Summing:
    """Rows on their way, of which is noted what is told of them.

    Args:
        rows: gone through once.
    """

    def __init__(self, rows: Iterable[LegacyRow]) -> None:
        self._rows = rows
        self._count = 0
        self._odd: list[Refusal] = []
        self._paths: list[str] = []

    def __iter__(self) -> Iterator[LegacyRow]:
        step = 1
        for row in self._rows:
            if row.remarks:
                self._odd += (Refusal(row.key, row.path, remark) for remark in row.remarks)
            if self._count % step == 0:
                self._paths.append(row.original_path)
                if len(self._paths) > PATHS_TOLD:  # every other one of them is as much all through the rows
                    self._paths, step = self._paths[::2], 2 * step
            self._count += 1
            yield row

    @property
    def summary(self) -> RowSummary:
        """What is told of the rows that went through."""
        return RowSummary(self._count, tuple(self._odd), tuple(self._paths))


HandOver = Callable[[str, str, Iterable[LegacyRow]], SourceContent]
"""Takes the rows of a source, of whose kind and name it is told; returns the content of a source that has them."""


def content_of(kind: str, source: str, rows: Iterable[LegacyRow], hand_over: HandOver | None = None) -> SourceContent:
    """Return the content of a source that has these rows, which are gone through once."""
    return SourceContent(kind, source, tuple(rows)) if hand_over is None else hand_over(kind, source, rows)


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
