"""The answer of Civitai about a model with all its versions, as SD.Next and Civitai Browser+ keep it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelkeep.domain.knowledge import Grade, SourceRecord
from modelkeep.domain.values import JsonObject
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.values import list_of, object_of, text, texts

_AMBIGUOUS = (
    "which of its versions this file is, none of their files' names tells; what holds for all of them is taken"
)


def model_record(
    found: FoundSidecar, data: bytes, kind: str, answer: JsonObject, remarks: tuple[str, ...]
) -> SourceRecord:
    """Return the record of an answer about a model."""
    versions = [object_of(version) for version in list_of(answer.get("modelVersions"))]
    version = _version_of(found, versions)
    files = [file for one in ([version] if version else versions) for file in list_of(one.get("files"))]
    claims, odd = civitai.file_claims(files, Grade.C, model_names(found))
    # A tool that does not write lists may have put the tags as keys of an object.
    tags = answer.get("tags")
    meaning = civitai.version_meaning(version or {}, answer, answer.get("creator"))
    return record_of(
        found,
        data,
        kind,
        size_bytes=civitai.size_of_only_file(files),
        meaning=replace(
            meaning,
            tags=texts(list(tags) if isinstance(tags, dict) else tags),
            origins=civitai.origins(answer.get("id"), (version or {}).get("id")),
        ),
        updated_at=civitai.updated_at(version or {}),
        raw=answer,
        claims=claims,
        remarks=(*remarks, *odd, *((_AMBIGUOUS,) if versions and not version else ())),
    )


def _version_of(found: FoundSidecar, versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the only version, or the only one with a file of the model's name."""
    if len(versions) == 1:
        return versions[0]
    stem = found.stem.casefold()
    named = [
        version
        for version in versions
        if any(_stem(object_of(file)) == stem for file in list_of(version.get("files")))
    ]
    return named[0] if len(named) == 1 else None


def _stem(file: Mapping[str, Any]) -> str:
    return os.path.splitext(text(file.get("name")))[0].casefold()
