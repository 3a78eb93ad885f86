"""What becomes of source records: which content each is attached to, and which of them speak of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelkeep.domain.knowledge import HashClaim, SourceRecord
from modelkeep.domain.values import Model
from modelkeep.domain.verdicts import Digests, is_confirmed
from modelkeep.domain.versions import about


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record that was read, and what its file was then: size and mtime, None where it came from no file."""

    record: SourceRecord
    file_bytes: int | None = None
    file_mtime_ns: int | None = None


class RecordTaking(StrEnum):
    """What was done with a record."""

    TAKEN = "taken"
    UPDATED = "updated"
    """It was known, and says something else now."""
    UNCHANGED = "unchanged"


class How(StrEnum):
    """Why a record is attached to a content."""

    BESIDE = "beside"
    """It names the path at which the content was read."""
    AMBIGUOUS = "ambiguous"
    """It names several paths, and nothing tells of which of the contents there it speaks."""
    CLAIM = "claim"
    """A hash that it claims is that of this content alone."""
    CONTENT = "content"
    """It was read from the content's own bytes."""
    OWNER = "owner"
    """The owner said so."""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A source record as the catalogue holds it.

    `asked` names the texts of it that the owner was asked about, `attached` has the contents that it is attached to
    and why.
    """

    id: int
    record: SourceRecord
    gone: bool = False
    dropped: bool = False
    first_seen: int = 0
    last_seen: int = 0
    asked: tuple[str, ...] = ()
    attached: Mapping[str, How] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A path of which a record speaks: the content that was read there, empty when none was; `waits` to be read."""

    path: str
    sha256: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A record that is attached to a content now."""

    record_id: int
    kind: str
    key: str
    path: str
    sha256: str
    how: How


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """What was done with a record: under which id it is kept, and the contents that it is attached to."""

    record: SourceRecord
    id: int
    taking: RecordTaking
    contents: tuple[str, ...] = ()
    waits: bool = False
    """A file that it names is still to be read."""

    @property
    def is_orphan(self) -> bool:
        """Whether no model is known of which it speaks."""
        return not (self.contents or self.waits)


@dataclass(frozen=True, slots=True)
class Learnt:
    """A model, before and after records were applied to it, and the tags that it got."""

    before: Model
    after: Model
    new_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A word of the owner in a record that differs from what his model says: a row of the queue asks about it."""

    record_id: int
    kind: str
    key: str
    field: str
    path: str
    sha256: str
    pending_id: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """What one adoption did."""

    taken: tuple[TakenRecord, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    """Kind and key of the records whose files are there no more."""
    attached: tuple[Attachment, ...] = ()
    learnt: tuple[Learnt, ...] = ()
    asked: tuple[Asked, ...] = ()
    dropped: tuple[KeptRecord, ...] = ()


def choose_targets(
    claims: Sequence[HashClaim], targets: Sequence[Target], digests: Mapping[str, Digests]
) -> dict[str, How]:
    """Return to which of the paths that it names a record belongs, as far as that is known.

    A record that names one path belongs to what lies there, whatever it claims. One that names several belongs to
    those of which a hash in it is true; when it is true of none, to all of them, which is known when all are read.

    Args:
        claims: hashes that the record holds.
        targets: the paths that it names.
        digests: what the contents there were read to have.
    """
    known = {target.path: target.sha256 for target in targets if target.sha256}
    if len(targets) > 1:
        confirmed = {path for path, sha256 in known.items() if is_confirmed(claims, digests[sha256])}
        if confirmed:
            return dict.fromkeys(sorted(confirmed), How.BESIDE)
        if any(target.waits for target in targets):
            return {}
    how = How.BESIDE if len(set(known.values())) < 2 else How.AMBIGUOUS
    return dict.fromkeys(known, how)


def speaking(records: Iterable[KeptRecord]) -> list[KeptRecord]:
    """Return those of a content's records that speak for it.

    One whose file is gone speaks only while no other of its kind is there; of several that are gone, the last one.
    """
    kept = [record for record in records if not record.dropped]
    present = {record.record.kind for record in kept if not record.gone}
    last: dict[str, KeptRecord] = {}
    for record in sorted(kept, key=lambda record: (record.last_seen, record.id)):
        if record.record.kind not in present:
            last[record.record.kind] = record
    return [record for record in kept if not record.gone or last.get(record.record.kind) is record]


def speaking_about(records: Iterable[KeptRecord], digests: Digests, size_bytes: int) -> list[KeptRecord]:
    """Return those of a content's records that speak for it, with what they say of just this content.

    Args:
        records: that are attached to the content.
        digests: what it was read to have.
        size_bytes: its size.
    """
    return [replace(kept, record=about(kept.record, digests, size_bytes)) for kept in speaking(records)]
