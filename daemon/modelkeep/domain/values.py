"""The project's own values: frozen records and the names of their states.

Times are whole milliseconds since 1970, sizes whole bytes, paths absolute strings as the file system spells them
(bytes that are no UTF-8 appear as surrogate escapes, see PEP 383).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Self

JsonObject = dict[str, Any]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def normalise_sha256(text: object) -> str | None:
    """Return a stored hash as 64 lower-case hex digits, or None when it is no SHA-256."""
    if not isinstance(text, str):
        return None
    digest = text.strip().lower()
    return digest if _SHA256.fullmatch(digest) else None


class PendingState(StrEnum):
    """Where a row of the queue stands."""

    WAITING = "waiting"
    CONFLICT = "conflict"
    FAILED = "failed"
    MISSING = "missing"


class LocationState(StrEnum):
    """Whether a model's file is at a path."""

    PRESENT = "present"
    MISSING = "missing"
    UNREACHABLE = "unreachable"


class Strategy(StrEnum):
    """What happens when the hash is already in the catalogue."""

    AUTO = "auto"
    MERGE = "merge"
    OVERRIDE = "override"
    DELETE = "delete"
    IGNORE = "ignore"
    ASK = "ask"


class Action(StrEnum):
    """What a migration did to a pending row."""

    CREATED = "created"
    MERGED = "merged"
    OVERRIDDEN = "overridden"
    DELETED = "deleted"
    IGNORED = "ignored"
    CONFLICTED = "conflicted"


class Priority(IntEnum):
    """Who is hashed first; the smaller number goes first."""

    INTERACTIVE = 0
    NEW = 1
    SWEEP = 2
    CLAIM = 3


CLAIM_SOURCE = "claim"
"""`source` of a row that holds what was known of a file under a hash that it does not have."""

WATCH_SOURCE = "watch"
"""`source` of a pending row that detection made: nothing is known but the path."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells without reading that a file is the one already hashed."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def from_stat(cls, status: os.stat_result) -> Self:
        """Take the fingerprint out of a stat result."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def same_file_at_same_path(self, other: "Fingerprint | None") -> bool:
        """Tell whether an unmoved path still holds the same content.

        The device number is left out: it may change with every mount, and the path has not moved.
        """
        return other is not None and (self.inode, self.size_bytes, self.mtime_ns) == (
            other.inode,
            other.size_bytes,
            other.mtime_ns,
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as the catalogue holds it."""

    id: int
    name: str
    color: str = ""
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class PendingImport:
    """One row of the queue: something known by path, whose content is not hashed yet."""

    id: int
    path: str
    sha256: str = ""
    name: str = ""
    type: str = ""
    base: str = ""
    size_bytes: int = 0
    created_at: int = 0
    meta: JsonObject = field(default_factory=dict)
    source: str = WATCH_SOURCE
    state: PendingState = PendingState.WAITING
    attempts: int = 0
    due_at: int = 0
    last_error: str = ""
    image: str = ""
    """Base name of its picture under `images/pending/`, or empty."""
    tags: tuple[Tag, ...] = ()
    verified: bool = False
    """`sha256` is what its file was read to be, and no claim: what it says is about that content ever after."""

    def is_about(self, sha256: str) -> bool:
        """Tell whether what this row says may be said of a content."""
        return not self.verified or self.sha256 == sha256

    @property
    def knows_nothing(self) -> bool:
        """Whether detection made this row and nothing but the path would be lost with it."""
        return self.source == WATCH_SOURCE and not (self.meta or self.tags or self.image)

    def evolve(self, **changes: Any) -> "PendingImport":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Model:
    """One content and everything that is known about it."""

    sha256: str
    path: str = ""
    name: str = ""
    type: str = ""
    base: str = ""
    size_bytes: int = 0
    created_at: int = 0
    last_used_at: int = 0
    meta: JsonObject = field(default_factory=dict)
    tags: tuple[Tag, ...] = ()

    def evolve(self, **changes: Any) -> "Model":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Location:
    """One path at which a model's file is or was."""

    path: str
    sha256: str
    state: LocationState
    fingerprint: Fingerprint | None = None
    """None until the file has been seen."""
    claimed: bool = False
    """The hash came from elsewhere and waits to be confirmed against the file."""
    first_seen: int = 0
    last_seen: int = 0


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One picture of a model; `width` and `height` in pixels of the high tier."""

    sha256: str
    seq: int
    width: int
    height: int
    source_digest: str


@dataclass(frozen=True, slots=True)
class TierFile:
    """One staged picture file and the name under which it will be published."""

    staged: str
    final: str

    def as_json(self) -> Mapping[str, str]:
        """Return the shape in which the journal holds it."""
        return {"staged": self.staged, "final": self.final}


@dataclass(frozen=True, slots=True)
class RenderedPicture:
    """The three tiers of one picture as they lie in the staging folder.

    `staged` maps a quality (`high`, `medium`, `low`) to the base name of its file.
    """

    staged: Mapping[str, str]
    width: int
    height: int
    source_digest: str
