"""The values of an archive out of lines of unknown origin: each is what the format says, or refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelkeep.domain.adopting import How
from modelkeep.domain.archive import (
    ArchivedContent,
    ArchivedImage,
    ArchivedKept,
    ArchivedLocation,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    ArchivedTaking,
    ArchivedTarget,
)
from modelkeep.domain.description import TEXTS
from modelkeep.domain.images import QUALITIES, SEQ_MAX
from modelkeep.domain.knowledge import (
    AnswerVersion,
    HashClaim,
    ImageFile,
    ImageRank,
    SourceRecord,
    Standing,
    VersionFile,
    meaning_as_json,
    sound_meaning,
)
from modelkeep.domain.legacy import LegacyTag
from modelkeep.domain.values import JsonObject, LocationState, PendingState, normalise_sha256

_NUMBER_MAX = 2**63 - 1


class NotAnArchive(ValueError):
    """A line is not what the format says; the text says what of it."""


def tag_of(value: Mapping[str, Any]) -> LegacyTag:
    """Return the tag of a line."""
    name = _text(value, "name")  # as models and rows bear it, blanks around it included
    if not name.strip():
        raise NotAnArchive("a tag has no name")
    return LegacyTag(name, _text(value, "color"), _number(value, "created_at"))


def model_of(value: Mapping[str, Any]) -> ArchivedModel:
    """Return the model of a line."""
    return ArchivedModel(
        _sha256(value, "sha256"),
        _text(value, "path"),
        _number(value, "size_bytes"),
        _number(value, "last_used_at"),
        _texts(value, "tags"),
        tuple(_location_of(each) for each in _objects(value, "locations")),
        tuple(_image_of(each) for each in _objects(value, "images")),
        meaning_as_json(sound_meaning(_object(value, "said"))),
        tuple(_taking_of(each) for each in _objects(value, "taken")),
        **_description_of(value),
    )


def _description_of(value: Mapping[str, Any]) -> JsonObject:
    texts = {name: _text(value, name) for name in TEXTS}
    return {**texts, "created_at": _number(value, "created_at"), "meta": _object(value, "meta")}


def _taking_of(value: Mapping[str, Any]) -> ArchivedTaking:
    return ArchivedTaking(
        _text(value, "path"), _text(value, "record_digest"), _text(value, "digest"), _text(value, "reason")
    )


def _location_of(value: Mapping[str, Any]) -> ArchivedLocation:
    state, claimed = LocationState(_text(value, "state")), _flag(value, "claimed")
    first_seen, last_seen = _number(value, "first_seen"), _number(value, "last_seen")
    return ArchivedLocation(_path(value), state, claimed, first_seen, last_seen)


def _image_of(value: Mapping[str, Any]) -> ArchivedImage:
    files = _object(value, "files")
    digests = {quality: _sha256(files, quality) for quality in QUALITIES if quality in files}
    seq, width, height = _number(value, "seq"), _number(value, "width"), _number(value, "height")
    if seq > SEQ_MAX:
        raise NotAnArchive("the number of an image is too large")
    return ArchivedImage(seq, width, height, _sha256(value, "source_digest"), digests)


def row_of(value: Mapping[str, Any]) -> ArchivedRow:
    """Return the row of the queue of a line."""
    image = _plain_name(value, "image")
    return ArchivedRow(
        _path(value),
        _sha256(value, "sha256") if value.get("sha256") else "",
        _number(value, "size_bytes"),
        _text(value, "source"),
        PendingState(_text(value, "state")),
        _text(value, "last_error"),
        _flag(value, "verified"),
        _texts(value, "tags"),
        image,
        _sha256(value, "image_sha256") if image else "",
        **_description_of(value),
    )


def record_of(value: Mapping[str, Any]) -> ArchivedRecord:
    """Return the source record of a line."""
    targets = tuple(
        ArchivedTarget(
            _text(each, "path"),
            _sha256(each, "sha256") if each.get("sha256") else "",
            How(_text(each, "how")),
        )
        for each in _objects(value, "targets")
    )
    record = SourceRecord(
        kind=_text(value, "kind"),
        key=_text(value, "key"),
        digest=_sha256(value, "digest"),
        models=tuple(sorted({target.path for target in targets if target.path})),
        original_path=_text(value, "original_path"),
        stem=_text(value, "stem"),
        size_bytes=_number(value, "size_bytes"),
        meaning=sound_meaning(_object(value, "meaning")),
        owned=frozenset(_texts(value, "owned")),
        standing=Standing(_text(value, "standing")),
        updated_at=_number(value, "updated_at"),
        raw=_object(value, "raw"),
        claims=tuple(map(_claim_of, _objects(value, "claims"))),
        images=tuple(ImageFile(_checked_text(path), ImageRank(rank)) for path, rank in _list(value, "images")),
        remarks=_texts(value, "remarks"),
        versions=tuple(map(_version_of, _objects(value, "versions"))) if "versions" in value else (),
    )
    return ArchivedRecord(
        record,
        targets,
        _flag(value, "gone"),
        _flag(value, "dropped"),
        _number(value, "first_seen"),
        _number(value, "last_seen"),
        _texts(value, "asked"),
        _number_or_none(value, "file_bytes"),
        _number_or_none(value, "file_mtime_ns"),
        tuple(
            ArchivedKept(_number(each, "rank"), _plain_name(each, "name"), _sha256(each, "sha256"))
            for each in _objects(value, "kept")
        ),
    )


def _version_of(value: JsonObject) -> AnswerVersion:
    files = (
        VersionFile(_text(file, "name"), _number(file, "size_bytes"), tuple(map(_claim_of, _objects(file, "claims"))))
        for file in _objects(value, "files")
    )
    return AnswerVersion(tuple(files), sound_meaning(_object(value, "meaning")), _number(value, "updated_at"))


def _claim_of(value: JsonObject) -> HashClaim:
    claim = HashClaim.from_json(value)
    if not isinstance(claim.value, str) or not all(
        number is None or (isinstance(number, int) and abs(number) <= _NUMBER_MAX)
        for number in (claim.size_bytes, claim.mtime_ns)
    ):
        raise NotAnArchive("a claim is none")
    return claim


def content_of(value: Mapping[str, Any]) -> ArchivedContent:
    """Return what a line says of a content."""
    return ArchivedContent(
        _sha256(value, "sha256"), _text(value, "format"), _object(value, "header"), _text(value, "problem")
    )


def _text(value: Mapping[str, Any], name: str) -> str:
    return _checked_text(value.get(name, ""))


def _checked_text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise NotAnArchive(f"{str(value)[:80]!r} is no text")
    return value


def _plain_name(value: Mapping[str, Any], name: str) -> str:
    text = _text(value, name)
    if "/" in text or text.startswith("."):
        raise NotAnArchive(f"{name} is not a plain file name")
    return text


def _path(value: Mapping[str, Any]) -> str:
    path = _text(value, "path")
    if not path:
        raise NotAnArchive("a path is empty")
    return path


def _number(value: Mapping[str, Any], name: str) -> int:
    number = value.get(name, 0)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _NUMBER_MAX:
        raise NotAnArchive(f"{name} is no number that can be")
    return number


def _number_or_none(value: Mapping[str, Any], name: str) -> int | None:
    return None if value.get(name) is None else _number(value, name)


def _flag(value: Mapping[str, Any], name: str) -> bool:
    if not isinstance(value.get(name, False), bool):
        raise NotAnArchive(f"{name} is neither true nor false")
    return bool(value.get(name, False))


def _sha256(value: Mapping[str, Any], name: str) -> str:
    digest = normalise_sha256(value.get(name))
    if digest is None:
        raise NotAnArchive(f"{name} is no SHA-256")
    return digest


def _object(value: Mapping[str, Any], name: str) -> JsonObject:
    found = value.get(name, {})
    if not isinstance(found, dict):
        raise NotAnArchive(f"{name} is no object")
    return found


def _list(value: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = value.get(name, [])
    if not isinstance(found, list):
        raise NotAnArchive(f"{name} is no list")
    return found


def _objects(value: Mapping[str, Any], name: str) -> Sequence[JsonObject]:
    found = _list(value, name)
    if not all(isinstance(each, dict) for each in found):
        raise NotAnArchive(f"{name} has something else than objects")
    return found


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(map(_checked_text, _list(value, name)))
