"""The archive: everything that is known in one file, which any machine can take in. Format version 1.

A zip file. `manifest.json` has `format` (`modelkeep-archive`), `version`, `made_by`, `made_at` (ms since 1970) and
`members`: the SHA-256 of every other JSON member. Those hold one object a line:

- `tags.jsonl`: `name`, `color`, `created_at`.
- `models.jsonl`: `sha256`, `path`, `name`, `type`, `base`, `size_bytes`, `created_at`, `last_used_at`, `meta`, `tags`
  (names), `locations` (`path`, `state`, `claimed`, `first_seen`, `last_seen`), `images` (`seq`, `width`, `height`,
  `source_digest`, `files`: the SHA-256 of each tier by its quality), `said` (what source records gave to the model),
  `taken` (images beside it that were taken once: what the owner removed stays away).
- `pending.jsonl`: rows of the queue, with `tags` and `image` (`name` and `sha256`, or null).
- `sources.jsonl`: what other tools say, whole: see `domain.knowledge.SourceRecord`; `targets` are the paths of which
  a record speaks and the contents to which it is attached, `kept` the images of one without a model (`rank`, `name`
  and `sha256`).
- `contents.jsonl`: `sha256`, `format`, `header`, `problem`, and the digests `tensors`, `autov1`, `blake3`.

`images/<sha256>_<seq>_<quality>.webp` and `pending/<name>` are the images, stored as they are. Paths and digests are
what the other machine said: an import believes no hash of a file before it has read it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelkeep.domain.adopting import How
from modelkeep.domain.images import QUALITIES, SEQ_MAX
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import (
    HashClaim,
    ImageFile,
    ImageRank,
    SourceRecord,
    Standing,
    meaning_as_json,
    sound_meaning,
)
from modelkeep.domain.values import JsonObject, LocationState, PendingState, normalise_sha256

FORMAT, VERSION = "modelkeep-archive", 1
MANIFEST = "manifest.json"
TAGS, MODELS, PENDING, SOURCES, CONTENTS = (
    f"{name}.jsonl" for name in ("tags", "models", "pending", "sources", "contents")
)
MEMBERS = (TAGS, MODELS, PENDING, SOURCES, CONTENTS)
IMAGES_FOLDER, PENDING_FOLDER = "images/", "pending/"

_NUMBER_MAX = 2**63 - 1


class NotAnArchive(ValueError):
    """A line is not what the format says; the text says what of it."""


@dataclass(frozen=True, slots=True)
class ArchivedTag:
    """A tag."""

    name: str
    color: str = ""
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image of a model; `files` has the SHA-256 of each tier that is in the archive, by its quality."""

    seq: int
    width: int
    height: int
    source_digest: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all of its tiers are there."""
        return self.files.keys() == set(QUALITIES)


@dataclass(frozen=True, slots=True)
class ArchivedTaking:
    """An image of a source record that was taken for a model, or why it was not."""

    path: str
    record_digest: str = ""
    digest: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedLocation:
    """Where a file was on the machine of the archive."""

    path: str
    state: str = LocationState.PRESENT
    claimed: bool = False
    first_seen: int = 0
    last_seen: int = 0


@dataclass(frozen=True, slots=True)
class ArchivedModel:
    """A content with all that belongs to it."""

    sha256: str
    path: str = ""
    name: str = ""
    type: str = ""
    base: str = ""
    size_bytes: int = 0
    created_at: int = 0
    last_used_at: int = 0
    meta: JsonObject = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    locations: tuple[ArchivedLocation, ...] = ()
    images: tuple[ArchivedImage, ...] = ()
    said: JsonObject = field(default_factory=dict)
    taken: tuple[ArchivedTaking, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A row of the queue; `image` is the base name of its image and `image_sha256` its digest, both may be empty."""

    path: str
    sha256: str = ""
    name: str = ""
    type: str = ""
    base: str = ""
    size_bytes: int = 0
    created_at: int = 0
    meta: JsonObject = field(default_factory=dict)
    source: str = ""
    state: str = PendingState.WAITING
    last_error: str = ""
    verified: bool = False
    tags: tuple[str, ...] = ()
    image: str = ""
    image_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedTarget:
    """A path of which a record speaks, and the content to which it is attached; either may be empty."""

    path: str
    sha256: str = ""
    how: str = How.BESIDE


@dataclass(frozen=True, slots=True)
class ArchivedKept:
    """An image of a record without a model: its place among images, and the name of its copy."""

    rank: int
    name: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedRecord:
    """A source record with what became of it."""

    record: SourceRecord
    targets: tuple[ArchivedTarget, ...] = ()
    gone: bool = False
    dropped: bool = False
    first_seen: int = 0
    last_seen: int = 0
    asked: tuple[str, ...] = ()
    file_bytes: int | None = None
    file_mtime_ns: int | None = None
    kept: tuple[ArchivedKept, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchivedContent:
    """What the bytes of a content say besides their SHA-256."""

    sha256: str
    format: str = ""
    header: JsonObject = field(default_factory=dict)
    problem: str = ""
    tensors: str | None = None
    autov1: str = ""
    blake3: str = ""


@dataclass(frozen=True, slots=True)
class Archive:
    """All of it but the bytes of images."""

    tags: tuple[ArchivedTag, ...] = ()
    models: tuple[ArchivedModel, ...] = ()
    pending: tuple[ArchivedRow, ...] = ()
    sources: tuple[ArchivedRecord, ...] = ()
    contents: tuple[ArchivedContent, ...] = ()


def digest_of(value: object) -> str:
    """Return what changes when anything changes that an archive says of a model or a row."""
    return hashlib.sha256(json_text(as_json(value), encoding="ascii").encode("ascii")).hexdigest()


def as_json(value: Any) -> Any:
    """Return a value of an archive as JSON."""
    if isinstance(value, ArchivedRecord):
        return _record_as_json(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    return value


def _record_as_json(value: ArchivedRecord) -> JsonObject:
    record = value.record
    said = {
        "kind": record.kind,
        "key": record.key,
        "digest": record.digest,
        "original_path": record.original_path,
        "stem": record.stem,
        "size_bytes": record.size_bytes,
        "meaning": meaning_as_json(record.meaning),
        "owned": sorted(record.owned),
        "standing": str(record.standing),
        "updated_at": record.updated_at,
        "raw": record.raw,
        "claims": [claim.as_json() for claim in record.claims],
        "images": [[image.path, str(image.rank)] for image in record.images],
        "remarks": list(record.remarks),
    }
    others = (name for name in value.__dataclass_fields__ if name != "record")
    return said | {name: as_json(getattr(value, name)) for name in others}


# From JSON


def tag_of(value: Mapping[str, Any]) -> ArchivedTag:
    """Return the tag of a line."""
    name = _text(value, "name").strip()
    if not name:
        raise NotAnArchive("a tag has no name")
    return ArchivedTag(name, _text(value, "color"), _number(value, "created_at"))


def model_of(value: Mapping[str, Any]) -> ArchivedModel:
    """Return the model of a line."""
    return ArchivedModel(
        _sha256(value, "sha256"),
        _text(value, "path"),
        _text(value, "name"),
        _text(value, "type"),
        _text(value, "base"),
        _number(value, "size_bytes"),
        _number(value, "created_at"),
        _number(value, "last_used_at"),
        _object(value, "meta"),
        _texts(value, "tags"),
        tuple(_location_of(each) for each in _objects(value, "locations")),
        tuple(_image_of(each) for each in _objects(value, "images")),
        meaning_as_json(sound_meaning(_object(value, "said"))),
        tuple(_taking_of(each) for each in _objects(value, "taken")),
    )


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
        _text(value, "name"),
        _text(value, "type"),
        _text(value, "base"),
        _number(value, "size_bytes"),
        _number(value, "created_at"),
        _object(value, "meta"),
        _text(value, "source"),
        PendingState(_text(value, "state")),
        _text(value, "last_error"),
        _flag(value, "verified"),
        _texts(value, "tags"),
        image,
        _sha256(value, "image_sha256") if image else "",
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


def _claim_of(value: JsonObject) -> HashClaim:
    claim = HashClaim.from_json(value)
    if not isinstance(claim.value, str) or not all(
        number is None or isinstance(number, int) for number in (claim.size_bytes, claim.mtime_ns)
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
