"""What requests have to look like."""

import math
import os
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from modelkeep.domain.edits import Edit
from modelkeep.domain.tag_acts import COLOR
from modelkeep.domain.values import NAME_CHARACTERS_MAX, TAG_CHARACTERS_MAX, TAGS_MAX, Strategy, normalise_sha256

ROW_ID_MAX = 2**63 - 1
"""SQLite's largest integer."""

ROWS_AT_ONCE_MAX = 100_000
META_DEPTH_MAX = 64
TEXT_MAX = NAME_CHARACTERS_MAX


def _file_system_text(text: str) -> str:
    """Refuse what no file can be called. Surrogate escapes pass: they are names that are not UTF-8."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError("it holds a character that no path can have") from None
    if "\0" in text:
        raise ValueError("it holds a zero byte")
    return text


def _label(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _storable(meta: dict[str, Any]) -> dict[str, Any]:
    """Refuse an object that nothing could show again: it goes too deep, or holds a number that JSON does not know."""
    level: list[object] = [meta]
    for _ in range(META_DEPTH_MAX):
        level = [inner for outer in level for inner in _inner(outer)]
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise ValueError("it holds a number that JSON does not know")
        if not level:
            return meta
    raise ValueError(f"it goes deeper than {META_DEPTH_MAX} levels")


def _inner(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _hash_text(text: str) -> str:
    known = normalise_sha256(text)
    if known is None:
        raise ValueError("it has to be a model's hash, 64 hex digits")
    return known


def none_from_empty(value: object) -> object:
    """Return None for what stands for nothing in forms and headers."""
    return None if value in ("", "null") else value


PathText = Annotated[str, AfterValidator(_file_system_text)]
Hash = Annotated[str, AfterValidator(_hash_text)]
RowId = Annotated[int, Field(strict=True, ge=1, le=ROW_ID_MAX)]
TagName = Annotated[PathText, AfterValidator(_label), Field(min_length=1, max_length=TAG_CHARACTERS_MAX)]
Color = Annotated[str, Field(pattern=COLOR.pattern, description="#rrggbb or a name")]


class HashRequest(BaseModel):
    """A file to hash; `pending`: its pending row is migrated then."""

    path: Annotated[PathText, Field(min_length=1)]
    pending_status: Literal["pending", "ignore"] = "ignore"


class RetryRequest(BaseModel):
    """Rows of the queue to try again; none named: all that failed or are missing."""

    ids: list[RowId] | None = None


class OrphanResolution(BaseModel):
    """To which model a source record belongs; empty: to none, it is dropped."""

    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class OrphansResolution(OrphanResolution):
    """To which model several source records belong."""

    ids: Annotated[list[RowId], Field(min_length=1, max_length=ROWS_AT_ONCE_MAX)]


class ImportOneRequest(BaseModel):
    """One row of the queue to migrate; no strategy: a conflict is the answer when its content is known.

    `path` says where its file lies now, when that is not where the row says; no strategy is the configured one then.
    """

    id: RowId
    conf_strategy: Annotated[Strategy | None, BeforeValidator(none_from_empty)] = None
    path: PathText = ""


class ImportManyRequest(BaseModel):
    """Rows of the queue to migrate; no strategy: those whose content is known are told as conflicts."""

    id: Annotated[list[RowId], Field(max_length=ROWS_AT_ONCE_MAX)]
    conflict_strategy: Annotated[Strategy | None, BeforeValidator(none_from_empty)] = None


class TagReference(BaseModel):
    """A tag, of which only the number counts."""

    id: RowId


class ModelEdit(BaseModel):
    """What a model shall say; what is left out stays as it is, so a whole model may be sent back.

    `meta_json` is put in key by key, null removes a key (RFC 7396). `path` has to be one of the model's locations;
    in a whole model (one with its `sha256`) the path of a file that was moved meanwhile counts for nothing.
    """

    sha256: Hash | None = None
    name: Annotated[PathText, Field(max_length=TEXT_MAX)] | None = None
    type: Annotated[PathText, Field(max_length=TEXT_MAX)] | None = None
    path: PathText | None = None
    meta_json: Annotated[dict[str, Any], AfterValidator(_storable)] | None = None
    tags: Annotated[list[RowId | TagReference], Field(max_length=TAGS_MAX)] | None = None

    @property
    def edit(self) -> Edit:
        """What is to be done."""
        ids = None if self.tags is None else [tag if isinstance(tag, int) else tag.id for tag in self.tags]
        return Edit(
            name=self.name,
            type=self.type,
            path=self.path,
            is_whole=self.sha256 is not None,
            meta=self.meta_json,
            tags=ids,
        )


class Inheritance(BaseModel):
    """The model from which another of the same tensors takes over."""

    origin: Hash


class NewTags(BaseModel):
    """Names of tags."""

    newtags: Annotated[list[TagName], Field(max_length=TAGS_MAX)]


class TagEdit(BaseModel):
    """What a tag shall be called, and its colour; what is left out stays as it is."""

    name: TagName | None = None
    color: Color | None = None


class SampleRequest(BaseModel):
    """A model whose images are asked for."""

    hash: Hash


class LegacyImportRequest(BaseModel):
    """A database of the legacy manager; `again`: also its rows that were dropped since an earlier import."""

    legacy_db_path: Annotated[PathText, Field(min_length=1)]
    legacy_images_dir: PathText | None = None
    again: bool = False


class ImportRequest(BaseModel):
    """A legacy source; `map` rewrites path prefixes, `again` takes rows that were dropped since, too."""

    kind: str
    source: Annotated[PathText, Field(min_length=1)]
    images: PathText = ""
    map: list[tuple[PathText, PathText]] = []
    dry_run: bool = False
    again: bool = False
