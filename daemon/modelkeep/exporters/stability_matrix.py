"""`STEM.cm-info.json` of StabilityMatrix, which is strict about types and takes null for an error in some places."""

import json
import re
from datetime import UTC, datetime

from modelkeep.domain.knowledge import HashKind
from modelkeep.domain.values import JsonObject
from modelkeep.exporters.base import Order
from modelkeep.exporters.civitai import civitai_type
from modelkeep.exporters.known import KnownModel
from modelkeep.exporters.merging import filled, without_refuted
from modelkeep.exporters.texts import as_html

_FROM_CIVITAI, _FROM_ELSEWHERE = 0, 3
_NEVER_NULL: JsonObject = {"ModelName": "", "ModelDescription": "", "VersionName": "", "Tags": []}
_LAST_MS = 253_402_300_799_000
"""The end of the year 9999, in which both .NET's time and Python's end; an archive may hold any number."""

_ESCAPED = re.compile("[<>&'+`\x7f]")
"""What .NET's encoder writes as an escape in ASCII besides what JSON needs."""

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


class StabilityMatrixExporter:
    """Writes `STEM.cm-info.json`."""

    kind = "stability-matrix"
    description = "STEM.cm-info.json of StabilityMatrix"
    holds_objects = True
    shows_previews = True

    def paths(self, model: KnownModel, order: Order) -> tuple[str, ...]:  # noqa: ARG002 - the interface's
        """Return the base names of the files of a model."""
        return (f"{model.stem}.cm-info.json",)

    def written(self, name: str, model: KnownModel, existing: JsonObject | None, order: Order) -> bytes:  # noqa: ARG002
        """Return the bytes of its file: one line, all of it ASCII, as its own program writes it."""
        held, ours = dict(existing or {}), _ours(model)
        if isinstance(hashes := held.get("Hashes"), dict):
            known = {"SHA256": model.sha256, "BLAKE3": model.digest(HashKind.BLAKE3)}
            held["Hashes"] = without_refuted(hashes, known)
        merged = filled(held, ours, prefer_ours=order.prefer_ours)
        merged |= {key: empty for key, empty in _NEVER_NULL.items() if merged[key] is None}
        text = json.dumps(merged, separators=(",", ":"), allow_nan=False)
        return _TEXT.sub(_escaped, text).encode("ascii")


def _escaped(text: re.Match[str]) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04X}", text[0])


def _ours(model: KnownModel) -> JsonObject:
    meaning, origin = model.meaning, model.civitai
    return {
        "ModelId": int(origin.model_id) if origin else None,
        "ModelName": model.title,
        "ModelDescription": as_html(meaning.description),
        "Nsfw": False,
        "Tags": list(meaning.tags),
        "ModelType": civitai_type(model.type),
        "VersionId": int(origin.version_id) if origin else None,
        "VersionName": meaning.version,
        "VersionDescription": as_html(meaning.version_description),
        "BaseModel": meaning.base_model or None,
        "FileMetadata": None,
        "ImportedAt": _moment(model.created_at),
        "Hashes": {
            "SHA256": model.sha256.upper(),
            "CRC32": None,
            "BLAKE3": model.digest(HashKind.BLAKE3).upper() or None,
        },
        "TrainedWords": list(meaning.trigger_words),
        "Stats": None,
        "AuthorUsername": meaning.author or None,
        "RemoteFileName": None,
        "RemoteFileId": None,
        "SourceUrl": None if origin else model.page or None,
        "UserTitle": None,
        "ThumbnailImageUrl": None,
        "InferenceDefaults": None,
        "Source": _FROM_CIVITAI if origin else _FROM_ELSEWHERE,
    }


def _moment(milliseconds: int) -> str:
    """Return a time with the seven digits and the offset that .NET writes."""
    moment = datetime.fromtimestamp(min(milliseconds, _LAST_MS) / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0+00:00"
