"""The answer of Civitai about a model with all its versions, as SD.Next and Civitai Browser+ keep it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelkeep.domain.knowledge import AnswerVersion, Grade, HashClaim, Meaning, SourceRecord
from modelkeep.domain.naming import stem_of
from modelkeep.domain.values import JsonObject
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.values import list_of, object_of, text, texts

Version = Mapping[str, Any]


def model_record(
    found: FoundSidecar, data: bytes, kind: str, answer: JsonObject, remarks: tuple[str, ...]
) -> SourceRecord:
    """Return the record of an answer about a model: with all versions, where it has more than one."""
    versions = [object_of(version) for version in list_of(answer.get("modelVersions"))]
    only = versions[0] if len(versions) == 1 else {}
    likely = only or _named(found, versions)
    claims, odd = _claims(found, likely, versions)
    return record_of(
        found,
        data,
        kind,
        size_bytes=civitai.size_of_only_file(list_of(likely.get("files"))),
        meaning=_meaning(answer, only),
        updated_at=civitai.updated_at(only),
        raw=answer,
        claims=claims,
        remarks=(*remarks, *odd),
        versions=civitai.several_files(only, model_names(found)) if only else _versions(found, answer, versions),
    )


def _meaning(answer: JsonObject, version: Version) -> Meaning:
    # A tool that does not write lists may have put the tags as keys of an object.
    tags = answer.get("tags")
    return replace(
        civitai.version_meaning(version, answer, answer.get("creator")),
        tags=texts(list(tags) if isinstance(tags, dict) else tags),
        origins=civitai.origins(answer.get("id"), version.get("id")),
    )


def _versions(found: FoundSidecar, answer: JsonObject, versions: Sequence[Version]) -> tuple[AnswerVersion, ...]:
    names = model_names(found)
    return tuple(
        civitai.answer_version(
            version,
            names,
            replace(
                civitai.version_meaning(version, {}, None),
                origins=civitai.origins(answer.get("id"), version.get("id")),
            ),
        )
        for version in versions
    )


def _claims(
    found: FoundSidecar, likely: Version, versions: Sequence[Version]
) -> tuple[tuple[HashClaim, ...], tuple[str, ...]]:
    """Return the hashes of all versions; those of the likely one are worth more."""
    files = [file for version in versions if version is not likely for file in list_of(version.get("files"))]
    names = model_names(found)
    own, odd = civitai.file_claims(list_of(likely.get("files")), Grade.C, names)
    others, odd_too = civitai.file_claims(files, Grade.D, names)
    known = {(claim.kind, claim.value) for claim in own}
    return (
        (*own, *(claim for claim in others if (claim.kind, claim.value) not in known)),
        tuple(dict.fromkeys((*odd, *odd_too))),
    )


def _named(found: FoundSidecar, versions: Sequence[Version]) -> Version:
    """Return the only version with a file of the model's name; an empty object where there is no such one."""
    stem = found.stem.casefold()
    named = [
        version
        for version in versions
        if any(
            stem_of(text(object_of(file).get("name"))).casefold() == stem for file in list_of(version.get("files"))
        )
    ]
    return named[0] if len(named) == 1 else {}
