"""The project's own values: frozen records and the names of their states.

Times are whole milliseconds since 1970, sizes whole bytes, paths absolute strings as the file system spells them
(bytes that are no UTF-8 appear as surrogate escapes, see PEP 383).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum, StrEnum
from typing import Any

from modelkeep.domain.description import Description
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen

JsonObject = dict[str, Any]

Record = tuple[str, Mapping[str, object]]
"""What is appended to the journal: the event, and its fields."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def normalise_sha256(text: object) -> str | None:
    """Return a stored hash as 64 lower-case hex digits, or None when it is no SHA-256."""
    if not isinstance(text, str):
        return None
    digest = text.strip().lower()
    return digest if _SHA256.fullmatch(digest) else None


NAME_CHARACTERS_MAX = 4096
"""A longer name or type is none."""

TAG_CHARACTERS_MAX = 200
"""A longer tag is none."""

TAGS_MAX = 1000
"""More tags no model has."""


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


@frozen
class Tag:
    """A tag as the catalogue holds it."""

    id: int
    name: str
    color: str = ""
    created_at: int = 0


@frozen
class PendingImport(Description):
    """One row of the queue: something known by path, whose content is not hashed yet."""

    id: int
    path: str
    sha256: str = ""
    size_bytes: int = 0
    source: str = WATCH_SOURCE
    state: PendingState = PendingState.WAITING
    attempts: int = 0
    due_at: int = 0
    last_error: str = ""
    image: str = ""
    """Base name of its image under `images/pending/`, or empty."""
    tags: tuple[Tag, ...] = ()
    verified: bool = False
    """`sha256` is what its file was read to be, and no claim: what it says is about that content ever after."""

    def is_about(self, sha256: str) -> bool:
        """Return whether what this row says may be said of a content."""
        return not self.verified or self.sha256 == sha256

    @property
    def knows_nothing(self) -> bool:
        """Whether detection made this row and nothing but the path would be lost with it."""
        return self.source == WATCH_SOURCE and not (self.meta or self.tags or self.image)

    def evolve(self, **changes: Any) -> "PendingImport":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@frozen
class DueRow:
    """What the stages ask of a row of the queue before its file is read; what it says is read when that is needed."""

    id: int
    path: str
    size_bytes: int
    attempts: int
    image: str
    knows_nothing: bool


@frozen
class Model(Description):
    """One content and everything that is known about it."""

    sha256: str
    path: str = ""
    size_bytes: int = 0
    last_used_at: int = 0
    tags: tuple[Tag, ...] = ()

    def evolve(self, **changes: Any) -> "Model":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@frozen
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
    doubted: bool = False
    """The file was touched since it was read, in a way that may have changed its content: it waits to be read again.
    The fingerprint is that of before."""

    @property
    def is_read(self) -> bool:
        """Whether the hash is that of the file which the fingerprint is of, as far as anybody knows."""
        return not (self.claimed or self.doubted)

    def tells_of(self, status: Fingerprint) -> bool:
        """Return whether the hash is that of the file which was seen at the path now, so that nobody need read it."""
        return self.is_read and status.is_untouched_since(self.fingerprint)


@frozen
class ImageRow:
    """One image of a model; `width` and `height` in pixels of the high tier."""

    sha256: str
    seq: int
    width: int
    height: int
    source_digest: str


@frozen
class TierFile:
    """One staged image file and the name under which it will be published."""

    staged: str
    final: str

    def as_json(self) -> Mapping[str, str]:
        """Return the shape in which the journal holds it."""
        return {"staged": self.staged, "final": self.final}


@frozen
class RenderedImage:
    """The three tiers of one image as they lie in the staging folder.

    `staged` maps a quality (`high`, `medium`, `low`) to the base name of its file.
    """

    staged: Mapping[str, str]
    width: int
    height: int
    source_digest: str
