"""What all share that take in what happens in the roots."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelkeep.base.clock import now_ms
from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.disk.looks import DiskLooks
from modelkeep.disk.roots import Roots
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.naming import is_hidden_below
from modelkeep.domain.reconcile import missing_records, returned_records
from modelkeep.domain.values import Location, Record
from modelkeep.watch.disk import Disk
from modelkeep.watch.line import Line

ROWS_MAX = 500
"""Rows written in one transaction: others want to write too, and the event loop takes each such part in at once."""


@dataclass(slots=True)
class Concerned:
    """What is known of files to which something happened: of their other names no event tells.

    To `written` something else than to have other names may have happened, too.
    """

    files: set[Fingerprint] = field(default_factory=set)
    written: set[Fingerprint] = field(default_factory=set)

    def add(self, other: "Concerned") -> None:
        """Add files."""
        self.files |= other.files
        self.written |= other.written


@dataclass(frozen=True, slots=True)
class Context:
    """What is known, who is told, and how one looks.

    Args:
        catalogue: what is known by path.
        line: the stages behind.
        record: appends records to the journal.
        looks: looks at paths of the roots.
        extensions: endings of model files.
        clock_ms: milliseconds since 1970.
        disk: the disk in view of the events that are being taken in.
        turn: held by whoever takes something in. What he sees is held against what is known, and written: of two at
            once, one could write what the other knows better by then.
    """

    catalogue: Catalogue
    line: Line
    record: Callable[[Sequence[Record]], object]
    looks: DiskLooks
    extensions: Sequence[str]
    clock_ms: Callable[[], int] = now_ms
    disk: Disk = field(default_factory=Disk)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def roots(self) -> Roots:
        """The configured roots."""
        return self.looks.roots

    def is_visible(self, path: str) -> bool:
        """Return whether a path lies in a root, and not hidden there."""
        root = self.roots.of(path)
        return root is not None and not is_hidden_below(path, root.path)

    def concerned_by(self, locations: Iterable[Location]) -> Concerned:
        """Return which files these locations are, to which something happened."""
        found = Concerned()
        for location in locations:
            if location.fingerprint is None:
                continue
            found.files.add(location.fingerprint)
            if location.doubted or self.disk.was_written(location.path):
                found.written.add(location.fingerprint)
        return found

    def record_missing(self, locations: Iterable[Location], cause: str) -> None:
        """Append to the journal that known content is at paths no more."""
        self.record(missing_records(locations, cause))

    def record_returned(self, locations: Iterable[Location]) -> None:
        """Append to the journal which of these locations were missing, and are back."""
        self.record(returned_records(locations))


def chunks(files: Mapping[str, Fingerprint]) -> Iterable[dict[str, Fingerprint]]:
    """Divide files such that one transaction does not take long."""
    items = list(files.items())
    return (dict(items[start : start + ROWS_MAX]) for start in range(0, len(items), ROWS_MAX))
