"""A hash that came from elsewhere and that the file does not have."""

from dataclasses import dataclass

from modelkeep.domain.values import Fingerprint


@dataclass(frozen=True, slots=True)
class Refuted:
    """The path, the hash that was claimed of its file, the one that it has, and its fingerprint."""

    path: str
    claimed: str
    found: str
    fingerprint: Fingerprint
