"""What a format of files beside models is."""

from dataclasses import dataclass
from typing import Protocol

from modelkeep.domain.encodings import FALLBACK_ENCODING
from modelkeep.domain.knowledge import ImageRank, SourceRecord
from modelkeep.domain.legacy import Refusal


@dataclass(frozen=True, slots=True)
class FoundSidecar:
    """A file that by its name belongs to models.

    Args:
        path: absolute.
        suffix: what of its name tells the format, in lower case; empty for images.
        stem: base name, without its ending, of the model to which it belongs.
        models: absolute paths of the model files beside it: several where they share the stem, none when it is an
            orphan.
        rank: what it is when it is an image.
        fallback_encoding: in which its texts are read where they are no UTF-8.
    """

    path: str
    suffix: str
    stem: str
    models: tuple[str, ...] = ()
    rank: ImageRank | None = None
    fallback_encoding: str = FALLBACK_ENCODING


class SidecarFormat(Protocol):
    """Reads one format of files beside models."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of records that it gives: one, where a suffix belongs to one tool only."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of its files, in lower case."""

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says, why it cannot be taken, or None when it is none of ours and is passed by.

        No bytes make it raise anything.
        """
