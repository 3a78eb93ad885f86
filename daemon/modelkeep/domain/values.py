"""The project's own values: frozen records and the names of their states.

Times are whole milliseconds since 1970, sizes whole bytes, paths absolute strings as the file system spells them
(bytes that are no UTF-8 appear as surrogate escapes, see PEP 383).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum, StrEnum
from typing import Any, Self

from modelkeep.domain.description import Description
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


_EARLIEST_NS = -3_000_000_000_000_000_000
"""The year 1874; the oldest date that most file systems can hold is in 1901."""


def bounded_ns(ns: int) -> int:
    """Return a file's time as 64 bits can hold it: a file system may tell dates of billions of years.

    What lies beyond 2459 is wrapped around, and so is what lies before 1874: the same time stays the same number.
    """
    return (ns - _EARLIEST_NS) % (1 << 64) + _EARLIEST_NS


Entry = tuple[str, int, int, int, int, int, int | None]
"""A path and what a file system tells of the file there: device, inode, size, mtime, ctime and birth."""


@frozen
class Fingerprint:
    """What tells without reading that a file is the one already hashed.

    `ctime_ns` is when anything of the file changed last: its content, its rights or its names. `birth_ns` is when it
    was made. Either is None where it is not known.
    """

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int | None = None
    birth_ns: int | None = None

    @classmethod
    def of(
        cls, device: int, inode: int, size_bytes: int, mtime_ns: int, ctime_ns: int, birth_ns: int | None = None
    ) -> Self:
        """Make one of what a file system tells, however absurd its times are."""
        birth_ns = None if birth_ns is None else bounded_ns(birth_ns)
        return cls(device, inode, size_bytes, bounded_ns(mtime_ns), bounded_ns(ctime_ns), birth_ns)

    @classmethod
    def from_stat(cls, status: os.stat_result) -> Self:
        """Take the fingerprint out of a stat result, which does not tell when the file was made."""
        return cls.of(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def numbers(self) -> list[int | None]:
        """Its fields, for another process."""
        return [self.device, self.inode, self.size_bytes, self.mtime_ns, self.ctime_ns, self.birth_ns]

    def same_file_at_same_path(self, other: "Fingerprint | None") -> bool:
        """Return whether an unmoved path still holds the same file, which may have been touched since.

        The device number is left out: it may change with every mount, and the path has not moved.
        """
        if other is None or (None not in (self.birth_ns, other.birth_ns) and self.birth_ns != other.birth_ns):
            return False
        return (self.inode, self.size_bytes, self.mtime_ns) == (other.inode, other.size_bytes, other.mtime_ns)

    def is_untouched_since(self, known: "Fingerprint | None") -> bool:
        """Return whether an unmoved path still holds the same content: nothing at all happened to the file.

        When it was touched last is not compared where it was not known.
        """
        if known is None or not self.same_file_at_same_path(known):
            return False
        return None in (self.ctime_ns, known.ctime_ns) or self.ctime_ns == known.ctime_ns

    def is_same_inode(self, other: "Fingerprint | None") -> bool:
        """Return whether two paths that were looked at now lead to one file."""
        return other is not None and (self.device, self.inode) == (other.device, other.inode)

    def is_surely_born_with(self, other: "Fingerprint") -> bool:
        """Return whether two fingerprints are of one file and not of one that was given the other's inode number."""
        return self.birth_ns is not None and self.birth_ns == other.birth_ns


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
