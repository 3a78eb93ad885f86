"""Source records without a model: which models are offered to them, and which of these is taken. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from heapq import nsmallest
from itertools import pairwise

from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.knowledge import Grade, SourceRecord
from modelkeep.domain.naming import stem_of
from modelkeep.domain.verdicts import STRONG, Digests, Verdict, verdict

SIMILAR = 0.6
"""From which on two stems are said to be similar (`difflib`: 1 = the same)."""

BEGINNING, BEGINNING_MIN = 0.8, 3
"""How similar two stems are of which one is the beginning of the other, and how long that has to be."""

OFFERS_MAX = 10
COMPARED_MAX = 2 * OFFERS_MAX
"""Neighbours whose names are compared exactly."""


class OfferedBy(StrEnum):
    """Why a model is offered to an orphan; the best reason stands first."""

    HASH = "hash"
    SIZE_AND_NAME = "size and name"
    NEIGHBOURHOOD = "neighbourhood"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A content that an orphan may be about, with its paths and what it was read to have."""

    sha256: str
    size_bytes: int
    paths: tuple[str, ...]
    digests: Digests


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that is offered to an orphan, and why; `similarity` of the names, 1 = the same."""

    sha256: str
    path: str
    by: OfferedBy
    similarity: float = 0.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A record that has no model, and the models that are offered to it, the likeliest first."""

    kept: KeptRecord
    offers: tuple[Offer, ...] = ()


class Neighbourhood:
    """Contents by the folders in which they lie and the pieces of their names, made once for many orphans.

    Comparing two names exactly takes long, so that is done only for those that have most pieces in common.
    """

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._places: list[tuple[str, str]] = []
        self._by_piece: dict[str, dict[str, list[int]]] = {}
        for candidate in candidates:
            for path in candidate.paths:
                by_piece = self._by_piece.setdefault(path.rsplit("/", 1)[0], {})
                for piece in _pieces(stem_of(path).casefold()):
                    by_piece.setdefault(piece, []).append(len(self._places))
                self._places.append((path, candidate.sha256))

    def offers(self, record: SourceRecord) -> list[Offer]:
        """Return the models in the same folder whose names are similar."""
        name, best = record.stem.casefold(), dict[str, Offer]()
        for path, sha256 in self._likeliest(name, folders_of([record])) if name else ():
            similarity = _similarity(name, stem_of(path).casefold())
            if similarity >= SIMILAR and (sha256 not in best or similarity > best[sha256].similarity):
                best[sha256] = Offer(sha256, path, OfferedBy.NEIGHBOURHOOD, similarity)
        return list(best.values())

    def _likeliest(self, name: str, folders: Iterable[str]) -> list[tuple[str, str]]:
        common: Counter[int] = Counter()
        for folder in folders:
            by_piece = self._by_piece.get(folder, {})
            for piece in _pieces(name):
                common.update(by_piece.get(piece, ()))
        likeliest = nsmallest(COMPARED_MAX, common, key=lambda place: (-common[place], *self._places[place]))
        return [self._places[place] for place in likeliest]


def offers(record: SourceRecord, candidates: Iterable[Candidate], neighbourhood: Neighbourhood) -> list[Offer]:
    """Return the models that a record without one may be about, the likeliest first.

    Args:
        record: that has no model.
        candidates: contents of which it claims a hash, or of the size that it tells.
        neighbourhood: knows what lies where it lies.
    """
    found = {offer.sha256: offer for offer in neighbourhood.offers(record)}
    found |= {offer.sha256: offer for candidate in candidates if (offer := _offer(record, candidate)) is not None}
    order = list(OfferedBy)
    ordered = sorted(found.values(), key=lambda offer: (order.index(offer.by), -offer.similarity, offer.path))
    return ordered[:OFFERS_MAX]


def the_clear_one(record: SourceRecord, candidates: Iterable[Candidate]) -> str:
    """Return the content that a record without a model is surely about, empty when that is not clear.

    It is the only one of which a hash is true that tells files apart and is not of a kind that is often wrong.
    """
    good = [claim for claim in record.claims if claim.kind in STRONG and claim.grade is not Grade.D]
    clear = {
        candidate.sha256
        for candidate in candidates
        if any(verdict(claim, candidate.digests) is Verdict.CONFIRMED for claim in good)
    }
    return clear.pop() if len(clear) == 1 else ""


def _offer(record: SourceRecord, candidate: Candidate) -> Offer | None:
    if not candidate.paths:
        return None
    if any(verdict(claim, candidate.digests) is Verdict.CONFIRMED for claim in record.claims):
        return Offer(candidate.sha256, candidate.paths[0], OfferedBy.HASH, 1.0)
    if record.size_bytes and record.size_bytes == candidate.size_bytes:
        for path in candidate.paths:
            if record.stem and stem_of(path).casefold() == record.stem.casefold():
                return Offer(candidate.sha256, path, OfferedBy.SIZE_AND_NAME, 1.0)
    return None


def _pieces(name: str) -> frozenset[str]:
    """Return all pairs of characters that stand side by side in a name."""
    return frozenset(map("".join, pairwise(f" {name}")))


def _similarity(one: str, other: str) -> float:
    shorter, longer = sorted((one, other), key=len)
    ratio = round(SequenceMatcher(None, shorter, longer).ratio(), 2)
    return max(ratio, BEGINNING) if len(shorter) >= BEGINNING_MIN and longer.startswith(shorter) else ratio


def folders_of(records: Sequence[SourceRecord]) -> set[str]:
    """Return the folders in which neighbours of records lie."""
    return {path.rsplit("/", 1)[0] for record in records for path in (*record.models, record.key)}
