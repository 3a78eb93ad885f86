"""What every reader of a database is, and how it puts together what it finds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from modelkeep.domain.knowledge import SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.importers.base import SourceContent, SourceOptions


class DatabaseReader(Protocol):
    """Reads what one tool keeps elsewhere than beside the models."""

    @property
    def kind(self) -> str:
        """Name of the tool's kind."""

    @property
    def places(self) -> str:
        """What SOURCE may be for it, in a few words."""

    def read(self, options: SourceOptions) -> SourceContent | None:
        """Read what of it lies at the source; None when nothing of it does.

        Raises:
            SourceError: it lies there and cannot be read.
        """


class Found:
    """What is gathered while a source is read."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.records: list[SourceRecord] = []
        self.refusals: list[Refusal] = []
        self.remarks: list[Refusal] = []

    def add(self, outcomes: Iterable[SourceRecord | Refusal | None]) -> None:
        """Note records and refusals."""
        for outcome in outcomes:
            if isinstance(outcome, SourceRecord):
                self.records.append(outcome)
            elif outcome is not None:
                self.refusals.append(outcome)

    def refuse(self, path: Path | str, reason: object) -> None:
        """Note a part of the source that cannot be read, in one line."""
        self.refusals.append(Refusal("", str(path), str(reason)))

    def content(self, source: Path) -> SourceContent:
        """Return all of it."""
        return SourceContent(
            self._kind,
            str(source),
            (),
            refusals=tuple(self.refusals),
            remarks=tuple(self.remarks),
            records=tuple(self.records),
        )
