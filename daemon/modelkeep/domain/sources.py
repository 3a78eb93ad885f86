"""What one question about source records is answered with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.verdicts import Digests


@dataclass(frozen=True, slots=True)
class ModelSources:
    """The records that speak of a content, and what it was read to have: that judges what they claim.

    `siblings` is what contents of the same tensors under another header were read to have, by their SHA-256: a hash
    that is no more that of the file may be that of the header that it had.
    """

    sha256: str
    records: tuple[KeptRecord, ...] = ()
    digests: Digests = field(default_factory=dict)
    siblings: Mapping[str, Digests] = field(default_factory=dict)
