"""Which of the versions that a source record tells of a content is: its digests tell, else its name. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from modelkeep.domain.knowledge import (
    AnswerVersion,
    HashClaim,
    HashKind,
    Meaning,
    SourceRecord,
    VersionFile,
    meaning_as_json,
    sound_meaning,
)
from modelkeep.domain.naming import stem_of
from modelkeep.domain.values import JsonObject
from modelkeep.domain.verdicts import STRONG, Digests, Verdict, verdict

ROUNDED_BYTES = 16
"""Sizes in kilobytes are rounded by so much."""

_TELLING = STRONG | {HashKind.AUTOV2}


def about(record: SourceRecord, digests: Digests, size_bytes: int) -> SourceRecord:
    """Return what a record says of one content.

    Of several versions that is the one of which a hash is true; where none is, the one with a file of the model's
    name, and where several have one, of its size too. Where that tells nothing, it is what holds for all of them.

    Args:
        record: of the content.
        digests: what the content was read to have.
        size_bytes: of the content.
    """
    if not record.versions:
        return record
    version = _version_of(record, digests, size_bytes)
    only = record.versions[0] if len(record.versions) == 1 else None
    said = version or only
    return replace(
        record,
        versions=(),
        meaning=_overlaid(record.meaning, said.meaning) if said else record.meaning,
        updated_at=said.updated_at if said else record.updated_at,
        claims=_claims_of(version) if version and not only else record.claims,
        remarks=record.remarks if version else (*record.remarks, _unknown(record)),
    )


def passed_over(record: SourceRecord, digests: Digests, size_bytes: int) -> list[Meaning]:
    """Return what a record says of the versions that a content is not, where it is known which one it is.

    One of them may have been taken for it by its name, before what tells was read.
    """
    version = _version_of(record, digests, size_bytes)
    return [other.meaning for other in record.versions if version is not None and other is not version]


def versions_as_json(versions: Iterable[AnswerVersion]) -> list[JsonObject]:
    """Return versions as the catalogue and archives hold them."""
    return [
        {
            "files": [
                {
                    "name": file.name,
                    "size_bytes": file.size_bytes,
                    "claims": [claim.as_json() for claim in file.claims],
                }
                for file in version.files
            ],
            "meaning": meaning_as_json(version.meaning),
            "updated_at": version.updated_at,
        }
        for version in versions
    ]


def versions_from_json(values: Iterable[Mapping[str, Any]]) -> tuple[AnswerVersion, ...]:
    """Return what the catalogue holds."""
    return tuple(
        AnswerVersion(
            tuple(
                VersionFile(file["name"], file["size_bytes"], tuple(map(HashClaim.from_json, file["claims"])))
                for file in value["files"]
            ),
            sound_meaning(value["meaning"]),
            value["updated_at"],
        )
        for value in values
    )


def _version_of(record: SourceRecord, digests: Digests, size_bytes: int) -> AnswerVersion | None:
    def is_true(file: VersionFile) -> bool:
        return any(claim.kind in _TELLING and verdict(claim, digests) is Verdict.CONFIRMED for claim in file.claims)

    def is_named(file: VersionFile) -> bool:
        return stem_of(file.name).casefold() == record.stem.casefold()

    def is_sized(file: VersionFile) -> bool:
        return is_named(file) and bool(file.size_bytes) and abs(file.size_bytes - size_bytes) < ROUNDED_BYTES

    found = _with(record.versions, is_true) or _with(record.versions, is_named)
    for test in (is_named, is_sized):
        found = _with(found, test) or found if len(found) > 1 else found
    return found[0] if len(found) == 1 else None


def _with(versions: Sequence[AnswerVersion], test: Callable[[VersionFile], bool]) -> list[AnswerVersion]:
    return [version for version in versions if any(map(test, version.files))]


def _overlaid(meaning: Meaning, own: Meaning) -> Meaning:
    said = {known.name: value for known in fields(own) if (value := getattr(own, known.name)) != known.default}
    return replace(meaning, **said)


def _claims_of(version: AnswerVersion) -> tuple[HashClaim, ...]:
    return tuple(dict.fromkeys(claim for file in version.files for claim in file.claims))


def _unknown(record: SourceRecord) -> str:
    if len(record.versions) == 1:
        return "none of its files is this one by a hash or by name; what it says of their version is taken"
    return (
        f"which of its {len(record.versions)} versions this file is tells neither a hash nor a name;"
        " what holds for all of them is taken"
    )
