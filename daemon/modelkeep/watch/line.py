"""What the watching side needs of the stages behind it."""

from collections.abc import Sequence
from typing import Protocol

from modelkeep.domain.detection import Moved
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import PendingImport, Priority


class Line(Protocol):
    """The stages: settle, hash, migrate."""

    def enqueue(self, rows: Sequence[tuple[PendingImport, Fingerprint]], priority: Priority, *, closed: bool) -> None:
        """Settle rows that were found by an event (priority `NEW`) or by a scan."""

    def renamed(self, moved: Moved) -> None:
        """Follow the rename of a file in hand."""

    def exchanged(self, moves: Sequence[Moved]) -> None:
        """Follow files in hand that changed places."""

    def gone(self, path: str) -> None:
        """Let go of a file in hand."""

    def looked_at(self, paths: Sequence[str]) -> None:
        """Have files that are at work looked at once more when that is done, and claims on them tried again."""

    def doubted(self, paths: Sequence[str]) -> None:
        """Have those of these files read that are claimed or doubted, when nothing else is to do."""
