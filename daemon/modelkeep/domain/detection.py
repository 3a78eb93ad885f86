"""A file that detection found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A file that detection found."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a rename concerned: the content and the pending row of the old path (empty and 0 when there was none).

    `displaced` is the content that lay at the new path before.
    """

    old: str
    new: str
    sha256: str = ""
    pending_id: int = 0
    displaced: str = ""
