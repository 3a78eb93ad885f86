"""What another tool knows of a model: the same values, whatever the file or database that it was read from.

A *source record* is what one file beside a model, one row of another manager's database or one file's own header
says. It is kept whole; its *meaning* is what of it is understood, in keys that are alike for all tools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from modelkeep.domain.values import JsonObject


class HashKind(StrEnum):
    """What a claimed hash was made of."""

    SHA256 = "sha256"
    AUTOV1 = "autov1"
    AUTOV2 = "autov2"
    AUTOV3 = "autov3"
    TENSORS = "tensor-sha256"
    BLAKE3 = "blake3"
    CRC32 = "crc32"
    SHA256_OR_TENSORS = "sha256-or-tensor"
    """A cache that holds either, and does not tell which."""


class Grade(StrEnum):
    """What a claimed hash is worth as evidence; none is an identity."""

    A = "A"
    """Computed from these bytes: size or time of the file were stored with it and are the same now."""
    B = "B"
    """Computed once from bytes at that path."""
    C = "C"
    """Asserted by a server of a file that is believed to be the same."""
    D = "D"
    """Of a kind that is known to be often wrong."""


@dataclass(frozen=True, slots=True)
class HashClaim:
    """A hash that a source record holds for a model: lower-case hex without a prefix, never one of nothing.

    `size_bytes` and `mtime_ns` are facts of the file that were stored with it, None where there are none.
    """

    kind: HashKind
    value: str
    grade: Grade
    size_bytes: int | None = None
    mtime_ns: int | None = None

    def is_of(self, size_bytes: int, mtime_ns: int) -> bool:
        """Return whether it was made of a file that had this time, and this size where that was stored too."""
        is_made_of_file = self.grade is Grade.A and self.mtime_ns is not None
        return is_made_of_file and self.mtime_ns == mtime_ns and self.size_bytes in (None, size_bytes)

    def as_json(self) -> JsonObject:
        """Return the shape in which the catalogue holds it and programs get it."""
        return {known.name: getattr(self, known.name) for known in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what the catalogue holds."""
        return cls(**{**value, "kind": HashKind(value["kind"]), "grade": Grade(value["grade"])})


class TextFormat(StrEnum):
    """How a text is to be read; it is stored as it was found, and cleaned for display only."""

    PLAIN = "plain"
    MARKDOWN = "markdown"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its format."""

    value: str = ""
    format: TextFormat = TextFormat.PLAIN


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from: `kind` is a site (`civitai`, `huggingface`, `url`), ids are texts or empty."""

    kind: str
    model_id: str = ""
    version_id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Weight:
    """How strongly a model is to be applied; None where nothing is said."""

    strength: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What of a source record is understood; empty values say nothing.

    `notes` are always somebody's own words. `examples` are objects with what made an example image (`prompt`,
    `negative_prompt`, and what else its source says).
    """

    title: str = ""
    version: str = ""
    description: Text = Text()
    version_description: Text = Text()
    notes: str = ""
    base_model: str = ""
    author: str = ""
    licence: str = ""
    usage_hint: str = ""
    negative_prompt: str = ""
    weight: Weight = Weight()
    favourite: bool | None = None
    rating: int | None = None
    tags: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    examples: tuple[JsonObject, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return self == Meaning()


LIST_FIELDS = tuple(known.name for known in fields(Meaning) if known.default == ())
"""Fields of a meaning that unite."""

SINGLE_FIELDS = tuple(known.name for known in fields(Meaning) if known.name not in LIST_FIELDS)
"""Fields of a meaning of which a model has one value: one record's is taken."""


class Standing(StrEnum):
    """Whose words a record holds, unless it says of a field that they are the owner's own."""

    ANSWER = "answer"
    """A copy of what a site answered."""
    HEADER = "header"
    """What the maker wrote into the model's own file."""
    GUESS = "guess"
    """What a file holds that does not say what it is: taken where nothing else says anything."""


class ImageRank(StrEnum):
    """What an image beside a model is, in the order in which models get them."""

    OWN = "own"
    """`STEM.png`: put there by somebody."""
    PREVIEW = "preview"
    """`STEM.preview.png`: fetched or chosen by a tool."""
    EXAMPLE = "example"
    """Fetched examples."""
    THUMBNAIL = "thumbnail"
    """Made of another one: taken only when there is no other."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image or a video that belongs to a model: an absolute path on this machine.

    Of an image that stands in its record it is that of `source_images.embedded_path`.
    """

    path: str
    rank: ImageRank = ImageRank.PREVIEW


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A file of a version: its base name, its size (0 = unknown), and the hashes that it is said to have."""

    name: str
    size_bytes: int = 0
    claims: tuple[HashClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerVersion:
    """One of the versions that an answer tells of: its files, and what holds for it and not for the others."""

    files: tuple[VersionFile, ...] = ()
    meaning: Meaning = Meaning()
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What one file or database row of another tool says.

    Args:
        kind: the tool, by the name of its importer (`lora-manager`, `civitai-helper`, `header`, …).
        key: what tells it from all others of its kind: the absolute path of its file, or of its database and the
            row's own key (`/…/invokeai.db#<id>`).
        digest: SHA-256 (hex) of the bytes, or of the row, that it was read from.
        models: absolute paths on this machine of the model files that it speaks of, whether they exist or not: more
            than one where a stem is shared or the same row means several; none where it names none.
        original_path: the path that it names itself, where that is another; data, never opened.
        stem: base name of the model it speaks of, without the extension; helps to find the model of an orphan.
        size_bytes: of the model as it says, 0 = unknown.
        meaning: what of it is understood.
        owned: fields of the meaning that are the owner's own words, by name.
        standing: whose words the others are.
        updated_at: when that answer was current, ms since 1970; 0 = unknown.
        raw: the source's own object, whole; a text stands under the key `text`.
        claims: hashes that it holds.
        images: images that belong to it.
        remarks: what was odd about it though it was taken, for the owner.
        versions: where it tells of several versions, or of several files: which of them a content is only its bytes
            tell, see `versions`. `meaning` is then what holds for all of them.
    """

    kind: str
    key: str
    digest: str
    models: tuple[str, ...] = ()
    original_path: str = ""
    stem: str = ""
    size_bytes: int = 0
    meaning: Meaning = Meaning()
    owned: frozenset[str] = frozenset({"notes"})
    standing: Standing = Standing.ANSWER
    updated_at: int = 0
    raw: JsonObject = field(default_factory=dict)
    claims: tuple[HashClaim, ...] = ()
    images: tuple[ImageFile, ...] = ()
    remarks: tuple[str, ...] = ()
    versions: tuple[AnswerVersion, ...] = ()


def meaning_as_json(meaning: Meaning) -> JsonObject:
    """Return a meaning as the catalogue holds it and programs get it: without what it does not say."""
    return {
        known.name: _plain(value)
        for known in fields(meaning)
        if (value := getattr(meaning, known.name)) != known.default
    }


def meaning_from_json(value: Mapping[str, Any]) -> Meaning:
    """Return what the catalogue holds."""
    known = dict(value)
    for name in ("description", "version_description"):
        if name in known:
            known[name] = Text(known[name]["value"], TextFormat(known[name]["format"]))
    if "weight" in known:
        known["weight"] = Weight(**known["weight"])
    known["origins"] = tuple(Origin(**origin) for origin in known.get("origins", ()))
    for name in ("tags", "trigger_words", "examples"):
        known[name] = tuple(known.get(name, ()))
    return Meaning(**known)


def sound_meaning(value: Mapping[str, Any]) -> Meaning:
    """Return a meaning that a stranger wrote.

    Raises:
        ValueError: a part of it is of another type than it has to be.
    """
    try:
        meaning = meaning_from_json(value)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it has other parts than a meaning") from error
    for name in SINGLE_FIELDS:
        if not _is_sound(name, getattr(meaning, name)):
            raise ValueError(f"{name} is of another type")
    texts = [*meaning.tags, *meaning.trigger_words]
    texts += [
        part for origin in meaning.origins for part in (origin.kind, origin.model_id, origin.version_id, origin.url)
    ]
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(each, dict) for each in meaning.examples
    ):
        raise ValueError("a list has items of another type")
    return meaning


def _is_sound(name: str, value: object) -> bool:
    if isinstance(value, Text):
        return isinstance(value.value, str)
    if isinstance(value, Weight):
        return all(_is_number(number) for number in (value.strength, value.minimum, value.maximum))
    if name == "favourite":
        return value is None or isinstance(value, bool)
    if name == "rating":
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _plain(value: Any) -> Any:
    if isinstance(value, Text | Origin | Weight):
        return {known.name: getattr(value, known.name) for known in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
