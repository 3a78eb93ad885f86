"""A migration on its way from a hash to the catalogue: what is asked for, and what came of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from modelkeep.domain.planning import Decision
from modelkeep.domain.values import Fingerprint, PendingImport, RenderedPicture, Strategy, TierFile


@dataclass(frozen=True, slots=True)
class MigrationOrder:
    """Everything that is needed to migrate a hashed pending row.

    `picture` are the staged tiers of its picture, `picture_refused` the reason why it has none though the row has a
    picture, `original` the base name of the picture that either is about, or empty.
    """

    migration: str
    pending_id: int
    path: str
    sha256: str
    fingerprint: Fingerprint
    strategy: Strategy
    picture: RenderedPicture | None = None
    picture_refused: str = ""
    original: str = ""


class Outcome(StrEnum):
    """What became of an order in the transaction."""

    DONE = "done"
    CONFLICTED = "conflicted"
    GONE = "gone"
    """The row is no longer in the queue."""
    MOVED = "moved"
    """The row's path or its picture changed meanwhile."""
    NEEDS_PICTURE = "needs picture"
    """Its picture has to be rendered first: what is known changed since it was looked at."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """An order, what became of it, and what is left to do after the commit."""

    order: MigrationOrder
    outcome: Outcome
    pending: PendingImport | None = None
    decision: Decision | None = None
    files: tuple[TierFile, ...] = field(default=())
    """Staged pictures that the migration publishes."""
    displaced: str = ""
    """The other content that lay at the path before."""
    error: str = ""
