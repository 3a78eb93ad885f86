"""What one question about source records is answered with."""

from dataclasses import dataclass, field

from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.verdicts import Digests


@dataclass(frozen=True, slots=True)
class ModelSources:
    """The records that speak of a content, and what it was read to have: that judges what they claim."""

    sha256: str
    records: tuple[KeptRecord, ...] = ()
    digests: Digests = field(default_factory=dict)
