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
what the other machine said: `archive_lines` checks each value, and an import believes no hash of a file before it has
read it.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Any

from modelkeep.domain.adopting import How
from modelkeep.domain.description import Description
from modelkeep.domain.frozen import frozen
from modelkeep.domain.images import QUALITIES
from modelkeep.domain.json_text import json_text
from modelkeep.domain.knowledge import SourceRecord, meaning_as_json
from modelkeep.domain.legacy import LegacyTag
from modelkeep.domain.values import JsonObject, LocationState, PendingState
from modelkeep.domain.versions import versions_as_json

FORMAT, VERSION = "modelkeep-archive", 1
MANIFEST = "manifest.json"
TAGS, MODELS, PENDING, SOURCES, CONTENTS = (
    f"{name}.jsonl" for name in ("tags", "models", "pending", "sources", "contents")
)
MEMBERS = (TAGS, MODELS, PENDING, SOURCES, CONTENTS)
Members = Mapping[str, Iterable[Any]]
"""What an archive holds of each member, in their order: values as `Archive` has them."""
IMAGES_FOLDER, PENDING_FOLDER = "images/", "pending/"


@frozen
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


@frozen
class ArchivedTaking:
    """An image of a source record that was taken for a model, or why it was not."""

    path: str
    record_digest: str = ""
    digest: str = ""
    reason: str = ""


@frozen
class ArchivedLocation:
    """Where a file was on the machine of the archive."""

    path: str
    state: str = LocationState.PRESENT
    claimed: bool = False
    first_seen: int = 0
    last_seen: int = 0


@frozen
class ArchivedModel(Description):
    """A content with all that belongs to it."""

    sha256: str
    path: str = ""
    size_bytes: int = 0
    last_used_at: int = 0
    tags: tuple[str, ...] = ()
    locations: tuple[ArchivedLocation, ...] = ()
    images: tuple[ArchivedImage, ...] = ()
    said: JsonObject = field(default_factory=dict)
    taken: tuple[ArchivedTaking, ...] = ()


@frozen
class ArchivedRow(Description):
    """A row of the queue; `image` is the base name of its image and `image_sha256` its digest, both may be empty."""

    path: str
    sha256: str = ""
    size_bytes: int = 0
    source: str = ""
    state: str = PendingState.WAITING
    last_error: str = ""
    verified: bool = False
    tags: tuple[str, ...] = ()
    image: str = ""
    image_sha256: str = ""


@frozen
class ArchivedTarget:
    """A path of which a record speaks, and the content to which it is attached; either may be empty."""

    path: str
    sha256: str = ""
    how: str = How.BESIDE


@frozen
class ArchivedKept:
    """An image of a record without a model: its place among images, and the name of its copy."""

    rank: int
    name: str
    sha256: str = ""


@frozen
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


@frozen
class ArchivedContent:
    """What the bytes of a content say besides their SHA-256."""

    sha256: str
    format: str = ""
    header: JsonObject = field(default_factory=dict)
    problem: str = ""
    tensors: str | None = None
    autov1: str = ""
    blake3: str = ""


@frozen
class Archive:
    """All of it but the bytes of images; whatever but tags may be read anew whenever it is gone through."""

    tags: tuple[LegacyTag, ...] = ()
    models: Collection[ArchivedModel] = ()
    pending: Collection[ArchivedRow] = ()
    sources: Collection[ArchivedRecord] = ()
    contents: Collection[ArchivedContent] = ()


@frozen
class ArchivedImages:
    """Which images of models and rows there are, to tell whether they changed: how many of models, and a digest."""

    count: int
    digest: str


def digest_of(value: object) -> str:
    """Return what changes when anything changes that an archive says of a model or a row."""
    return hashlib.sha256(json_text(as_json(value), encoding="ascii").encode("ascii")).hexdigest()


_PLAIN = frozenset((str, int, float, bool, type(None), dict))
"""Kinds of values that are JSON already: all objects in an archive are."""


def as_json(value: Any) -> Any:
    """Return a value of an archive as JSON."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, ArchivedRecord):
        return _record_as_json(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
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
        "versions": versions_as_json(record.versions),
    }
    others = (name for name in value.__dataclass_fields__ if name != "record")
    return said | {name: as_json(getattr(value, name)) for name in others}
