"""Hashes that came from elsewhere: what was said with them, what was read, and what follows from both."""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from operator import attrgetter
from typing import Self

from modelkeep.domain.description import Description
from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.frozen import frozen
from modelkeep.domain.values import CLAIM_SOURCE, JsonObject, Location, PendingImport


@frozen
class Statement(Description):
    """What an older database says of a file for which it holds a hash: kept until the file has been read.

    `kind` is the importer's, `tags` are ids, `image` is the digest of its source image or empty.
    """

    claim: str
    kind: str = CLAIM_SOURCE
    tags: tuple[int, ...] = ()
    image: str = ""

    def as_json(self) -> JsonObject:
        """Return the shape in which the catalogue holds it."""
        return dict(zip(_STATED, _stated_by(self), strict=True))

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return what the catalogue holds."""
        return cls(**{**value, "tags": tuple(value["tags"])})

    def as_row(self, path: str, size_bytes: int, now_ms: int) -> PendingImport:
        """Return the row of the queue that says the same of the file at a path."""
        return PendingImport(
            id=0, path=path, size_bytes=size_bytes, source=CLAIM_SOURCE, due_at=now_ms, **self.description
        )


_STATED = tuple(known.name for known in fields(Statement))
_stated_by = attrgetter(*_STATED)


@frozen
class Reading:
    """A file that was read, and who asked for it: a claim (its hash), or a row of the queue (its id).

    `path` is where the file lay when it was queued; it may have been renamed since.
    """

    path: str
    found: str
    fingerprint: Fingerprint
    claim: str = ""
    pending_id: int = 0


@frozen
class ClaimedImage:
    """A published image that has to follow a file whose claim is refuted."""

    sha256: str
    seq: int


@frozen
class Marked:
    """Claims that are going to be read: those that are `wanted`, with the fingerprints of their files.

    `outdated` are the paths at which something else was known by now than when they were looked at.
    """

    wanted: Mapping[Location, Fingerprint] = field(default_factory=dict)
    outdated: Sequence[str] = ()


@frozen
class Judgement:
    """What a reading says about the claims on its file; nothing when nobody claims anything of that file.

    `path` is where the file lies now, `confirmed` the hash that is true, `refuted` those that are not, `row` the row
    of the queue that says of the file what was said with the refuted ones. `displaced` is the content that the file
    held when it was read before, and holds no more. `is_outdated`: nothing was decided, for another image has to
    follow the file than the one that was handed in.
    """

    path: str
    confirmed: str = ""
    refuted: tuple[str, ...] = ()
    displaced: str = ""
    row: PendingImport | None = None
    takes_image: bool = False
    is_outdated: bool = False
