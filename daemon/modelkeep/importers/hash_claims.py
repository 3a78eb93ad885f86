"""Hashes as other tools write them down: claims, or what is wrong with them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelkeep.domain.knowledge import Grade, HashClaim, HashKind
from modelkeep.importers.legacy_text import clean

LENGTHS: Mapping[HashKind, int] = {
    HashKind.SHA256: 64,
    HashKind.AUTOV1: 8,
    HashKind.AUTOV2: 10,
    HashKind.AUTOV3: 12,
    HashKind.TENSORS: 64,
    HashKind.BLAKE3: 64,
    HashKind.CRC32: 8,
    HashKind.SHA256_OR_TENSORS: 64,
}
"""Hex digits of each kind."""

CIVITAI_KINDS: Mapping[str, HashKind] = {
    "sha256": HashKind.SHA256,
    "autov1": HashKind.AUTOV1,
    "autov2": HashKind.AUTOV2,
    "autov3": HashKind.AUTOV3,
    "blake3": HashKind.BLAKE3,
    "crc32": HashKind.CRC32,
}
"""Kinds by the names that Civitai gives them, in lower case."""

_SHORTER_KINDS = {8: HashKind.AUTOV1, 10: HashKind.AUTOV2, 12: HashKind.AUTOV3}
_PREFIX = re.compile(r"(?:0x|sha256:|blake3:)", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+")
_SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()
_BLAKE3_OF_NOTHING = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, or None and a remark about what stands there; neither where nothing does."""

    claim: HashClaim | None = None
    remark: str = ""


def judge_hash(kind: HashKind, value: object, grade: Grade, names: Iterable[str] = ()) -> Judged:
    """Return what a stored hash is worth.

    Args:
        kind: what it is said to be; a SHA-256 of another length is what has that length.
        value: as it was stored; a prefix such as `0x` is left out.
        grade: of the claim.
        names: base names of the model; a faulty tool stores the hash of one of them.
    """
    if value is None or value == "":
        return Judged()
    digits = _PREFIX.sub("", clean(value).strip(), count=1).lower()
    if kind is HashKind.SHA256:
        kind = _SHORTER_KINDS.get(len(digits), kind)
    if kind is HashKind.AUTOV3 and len(digits) == LENGTHS[HashKind.TENSORS]:
        kind = HashKind.TENSORS
    fault = _fault(kind, digits, names)
    if fault:
        return Judged(remark=f"its {kind} {clean(value).strip()[:80]!r} is {fault}, so it is not used")
    return Judged(HashClaim(kind, digits, grade))


def _fault(kind: HashKind, digits: str, names: Iterable[str]) -> str:
    """Return what a hash is when it says nothing of any content; empty when it may."""
    if not _HEX.fullmatch(digits) or len(digits) != LENGTHS[kind]:
        return "not a hash"
    if not digits.strip("0"):
        return "all zeros"
    if (_BLAKE3_OF_NOTHING if kind is HashKind.BLAKE3 else _SHA256_OF_NOTHING).startswith(digits):
        return "the hash of nothing"
    if any(digits == hash_of_name(name) for name in names):
        return "the hash of the file's name"
    return ""


def hash_of_name(name: str) -> str:
    """Return what faulty versions of Forge store as the hash of a file."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def judge_hashes(
    hashes: object, grade: Grade, names: Iterable[str] = ()
) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return the claims and the remarks of an object of hashes by Civitai's names for them."""
    if not isinstance(hashes, Mapping):
        return (), ()
    named = tuple(names)
    judged = [
        judge_hash(kind, value, grade, named)
        for key, value in hashes.items()
        if (kind := CIVITAI_KINDS.get(str(key).casefold())) is not None
    ]
    return tuple(found.claim for found in judged if found.claim), tuple(
        found.remark for found in judged if found.remark
    )
