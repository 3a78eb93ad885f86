"""A migration on its way from a hash to the catalogue: what is asked for, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.domain.planning import Decision
from modelkeep.domain.values import PendingImport, RenderedImage, Strategy, TierFile


@frozen
class MigrationOrder:
    """Everything that is needed to migrate a hashed pending row.

    `image` are the staged tiers of its image, `image_refused` the reason why it has none though the row has a
    image, `original` the base name of the image that either is about, or empty. `fingerprint` is None when no
    file was read: the owner decides about a content that the row was read to be. `suggested_type` is what the path
    says. `content` is what else was read of the file, kept in the same transaction; None where it is known.
    `is_believed`: the file was not read for this, as the catalogue knew it by its fingerprint; it has to do so still.
    """

    migration: str
    pending_id: int
    path: str
    sha256: str
    fingerprint: Fingerprint | None
    strategy: Strategy
    image: RenderedImage | None = None
    image_refused: str = ""
    original: str = ""
    suggested_type: str = ""
    content: ContentRow | None = None
    is_believed: bool = False


class Outcome(StrEnum):
    """What became of an order in the transaction."""

    DONE = "done"
    CONFLICTED = "conflicted"
    GONE = "gone"
    """The row is no longer in the queue."""
    MOVED = "moved"
    """The row's path or its image changed meanwhile, or what was known of its file."""
    CLAIMED = "claimed"
    """An older database claims a hash of the file at its path: that has to be judged first."""
    NEEDS_IMAGE = "needs image"
    """Its image has to be rendered first: what is known changed since it was looked at."""
    FAILED = "failed"


@frozen
class MigrationResult:
    """An order, what became of it, and what is left to do after the commit."""

    order: MigrationOrder
    outcome: Outcome
    pending: PendingImport | None = None
    decision: Decision | None = None
    files: tuple[TierFile, ...] = field(default=())
    """Staged images that the migration publishes."""
    displaced: str = ""
    """The other content that lay at the path before."""
    error: str = ""
    is_recognised: bool = False
    """Another content has the tensors that were read of this one."""


@frozen
class Committed:
    """A migration, or an act of the owner, whose transaction is committed, and what is left to do for it.

    Args:
        migration: its id; empty when the catalogue holds none for it.
        sha256: its model, empty when nothing tells.
        files: staged images to publish.
        removed: published images to remove after that.
        originals: pending images to remove.
        ending: records that close it in the journal, each with its event and fields.
    """

    migration: str
    sha256: str
    files: Sequence[TierFile] = ()
    removed: Sequence[str] = ()
    originals: Sequence[str] = ()
    ending: Sequence[tuple[str, Mapping[str, object]]] = ()
