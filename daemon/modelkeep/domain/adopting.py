"""What becomes of source records: which content each is attached to, and which of them speak of it. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelkeep.domain.knowledge import HashClaim, HashKind, SourceRecord
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
class Withdrawal:
    """A record that speaks no more of a content: a hash in it is that of another file of the same name."""

    record_id: int
    kind: str
    key: str
    path: str
    sha256: str


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
    """A model, before and after records were applied to it, and the tags that it got and lost."""

    before: Model
    after: Model
    new_tags: tuple[str, ...] = ()
    lost_tags: tuple[str, ...] = ()


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
    withdrawn: tuple[Withdrawal, ...] = ()
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
        confirmed = _confirmed(claims, targets, digests)
        if confirmed:
            return dict.fromkeys(sorted(confirmed), How.BESIDE)
        if any(target.waits for target in targets):
            return {}
    how = How.BESIDE if len(set(known.values())) < 2 else How.AMBIGUOUS
    return dict.fromkeys(known, how)


def turned_away(
    claims: Sequence[HashClaim], targets: Sequence[Target], digests: Mapping[str, Digests]
) -> dict[str, str]:
    """Return the paths that a record names, and what lies there, of which it does not speak.

    It names several, and a hash in it is true of others of them.
    """
    known = {target.path: target.sha256 for target in targets if target.sha256}
    confirmed = _confirmed(claims, targets, digests)
    speaks_of = {known[path] for path in confirmed}
    return {path: sha256 for path, sha256 in known.items() if confirmed and sha256 not in speaks_of}


def _confirmed(claims: Sequence[HashClaim], targets: Sequence[Target], digests: Mapping[str, Digests]) -> set[str]:
    return {each.path for each in targets if each.sha256 and is_confirmed(claims, digests[each.sha256])}


def stays(record: KeptRecord, news: SourceRecord, lying: Collection[str], digests: Mapping[str, Digests]) -> bool:
    """Return whether what a file says anew is about the same contents as what it said before.

    Args:
        record: as it was, with what it is attached to.
        news: what its file says now.
        lying: the contents at the paths that it names now.
        digests: what the contents were read to have that it is attached to.
    """
    return all(
        sha256 in lying or is_confirmed(news.claims, digests[sha256]) or (how is How.OWNER and not lying)
        for sha256, how in record.attached.items()
    )


def speaking(records: Iterable[KeptRecord], sha256: str) -> list[KeptRecord]:
    """Return those of a content's records that speak for it.

    One whose file is gone speaks only while no other of its kind is there; of several that are gone, the last one.
    One that lies beside another model and is here for its hash alone speaks only while there is no other of its kind.
    """
    kept = [record for record in records if not record.dropped]
    own = {record.record.kind for record in kept if not _is_lent(record, sha256)}
    kept = [record for record in kept if record.record.kind not in own or not _is_lent(record, sha256)]
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
    return [
        replace(kept, record=about(kept.record, digests, size_bytes))
        for kept in speaking(records, digests[HashKind.SHA256])
    ]


def _is_lent(record: KeptRecord, sha256: str) -> bool:
    beside = (How.BESIDE, How.AMBIGUOUS)
    return (
        not record.gone
        and record.attached.get(sha256) is How.CLAIM
        and any(how in beside for other, how in record.attached.items() if other != sha256)
    )
