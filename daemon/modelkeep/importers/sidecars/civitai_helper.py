"""`STEM.civitai.info`: the answer about a version, as Civitai Helper and other downloaders keep it."""

from collections.abc import Mapping
from typing import Any

from modelkeep.domain.knowledge import Grade, Meaning, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.importers.sidecars import civitai
from modelkeep.importers.sidecars.base import FoundSidecar
from modelkeep.importers.sidecars.model_answer import model_record
from modelkeep.importers.sidecars.reading import as_object, refusal
from modelkeep.importers.sidecars.record import model_names, record_of
from modelkeep.importers.sidecars.values import list_of, object_of, text, texts

KIND = "civitai-helper"


class CivitaiHelperFormat:
    """Reads `STEM.civitai.info`."""

    kinds = frozenset({KIND})
    suffixes = (".civitai.info",)

    def read(self, found: FoundSidecar, data: bytes) -> SourceRecord | Refusal | None:
        """Return what a file says; the empty object of a model that Civitai does not know is passed by."""
        read = as_object(data, found.fallback_encoding)
        if read.fault:
            return refusal(found, read.fault)
        if isinstance(read.value.get("modelVersions"), list):  # some downloaders keep the model's answer instead
            return model_record(found, data, KIND, read.value, read.remarks)
        return version_record(found, data, read.value, read.remarks) if read.value else None


def version_record(found: FoundSidecar, data: bytes, version: JsonObject, remarks: tuple[str, ...]) -> SourceRecord:
    """Return the record of an answer about a version."""
    files = list_of(version.get("files"))
    is_skeleton = _is_skeleton(version)
    claims, odd = civitai.file_claims(files, Grade.D if is_skeleton else Grade.C, model_names(found))
    return record_of(
        found,
        data,
        KIND,
        size_bytes=0 if is_skeleton else civitai.size_of_only_file(files),
        meaning=_skeleton_meaning(version) if is_skeleton else _meaning(version),
        updated_at=civitai.updated_at(version),
        raw=version,
        claims=claims,
        remarks=(*remarks, *odd),
        versions=() if is_skeleton else civitai.several_files(version, model_names(found)),
    )


def _meaning(version: Mapping[str, Any]) -> Meaning:
    return civitai.version_meaning(version, object_of(version.get("model")), version.get("creator"))


def _is_skeleton(version: Mapping[str, Any]) -> bool:
    """Return whether the tool wrote it without an answer, for a model that Civitai does not know."""
    own = object_of(object_of(version.get("extensions")).get("sd_civitai_helper"))
    return version.get("skeleton_file") is True or own.get("skeleton_file") is True


def _skeleton_meaning(version: Mapping[str, Any]) -> Meaning:
    """Return the little that is in it: its tags are those that the model was trained with."""
    return Meaning(
        title=text(object_of(version.get("model")).get("name")), trigger_words=texts(version.get("trainedWords"))
    )
