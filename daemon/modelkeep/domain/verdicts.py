"""What claimed hashes turn out to be once the content is known that their record is attached to. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from modelkeep.domain.content_facts import SAFETENSORS
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.knowledge import HashClaim, HashKind

AUTOV2_DIGITS, AUTOV3_DIGITS = 10, 12

Digests = Mapping[HashKind, str]
"""What a content was read to have, by kind: lower-case hex; empty where it has no such part."""

STRONG = frozenset(
    {HashKind.SHA256, HashKind.TENSORS, HashKind.AUTOV3, HashKind.BLAKE3, HashKind.SHA256_OR_TENSORS},
)
"""Kinds that tell of which of several files a record speaks."""


class Verdict(StrEnum):
    """What became of a claim."""

    OPEN = "open"
    """Nobody read what would tell."""
    CONFIRMED = "confirmed"
    REFUTED = "refuted"


def digests_of(content: ContentRow) -> dict[HashKind, str]:
    """Return the digests by which tools know a content; empty ones are not known, or there are none."""
    tensors = content.tensors or ""
    return {
        HashKind.SHA256: content.sha256,
        HashKind.AUTOV1: content.autov1,
        HashKind.AUTOV2: content.sha256[:AUTOV2_DIGITS],
        HashKind.AUTOV3: tensors[:AUTOV3_DIGITS] if content.format == SAFETENSORS else "",
        HashKind.TENSORS: tensors,
        HashKind.BLAKE3: content.blake3,
    }


def known_digests(content: ContentRow | None, sha256: str) -> dict[HashKind, str]:
    """Return what a content was read to have; empty where it has no such part, left out where nobody looked.

    Args:
        content: what is kept of its bytes; None when nothing is.
        sha256: of the content.
    """
    if content is None:
        return {kind: digest for kind, digest in digests_of(ContentRow(sha256)).items() if digest}
    looked_for = set() if content.tensors is None else {HashKind.TENSORS, HashKind.AUTOV3}
    return {kind: digest for kind, digest in digests_of(content).items() if digest or kind in looked_for}


def verdict(claim: HashClaim, digests: Digests) -> Verdict:
    """Return what a content with these digests says of a claim."""
    if claim.kind is HashKind.SHA256_OR_TENSORS:
        return _either(claim.value, [digests.get(kind) for kind in (HashKind.SHA256, HashKind.TENSORS)])
    found = digests.get(claim.kind)
    if found is None:
        return Verdict.OPEN
    return Verdict.CONFIRMED if found == claim.value else Verdict.REFUTED


def is_confirmed(claims: Iterable[HashClaim], digests: Digests) -> bool:
    """Return whether a claim that tells files apart is true of a content with these digests."""
    return any(claim.kind in STRONG and verdict(claim, digests) is Verdict.CONFIRMED for claim in claims)


def whose(claim: HashClaim, digests: Digests, siblings: Mapping[str, Digests]) -> str:
    """Return of which sibling a claim is true that is refuted by a content with these digests, empty when of none."""
    if verdict(claim, digests) is not Verdict.REFUTED:
        return ""
    true_of = (sha256 for sha256, known in siblings.items() if verdict(claim, known) is Verdict.CONFIRMED)
    return min(true_of, default="")


def _either(value: str, found: list[str | None]) -> Verdict:
    if value in found:
        return Verdict.CONFIRMED
    return Verdict.OPEN if None in found else Verdict.REFUTED
