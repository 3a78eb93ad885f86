"""What whoever listens to the daemon is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A record of the journal, or how far the hashing is; neither is a sign of life.

    Args:
        seq: of the record.
        record: as the journal holds it.
        hashing: the files that are being hashed, as the status tells them.
    """

    seq: int = 0
    record: Mapping[str, object] | None = None
    hashing: Sequence[Mapping[str, object]] | None = None
