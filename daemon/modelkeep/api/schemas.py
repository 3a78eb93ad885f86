"""What requests have to look like, and what the documentation at `/docs` says about the answers."""

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from modelkeep.domain.values import Strategy, normalise_sha256

ROW_ID_MAX = 2**63 - 1
"""SQLite's largest integer."""

ROWS_AT_ONCE_MAX = 100_000


def _file_system_text(text: str) -> str:
    """Refuse what no file can be called. Surrogate escapes pass: they are names that are not UTF-8."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError("it holds a character that no path can have") from None
    if "\0" in text:
        raise ValueError("it holds a zero byte")
    return text


def _hash_text(text: str) -> str:
    known = normalise_sha256(text)
    if known is None:
        raise ValueError("it has to be a model's hash, 64 hex digits")
    return known


def _none_from_empty(value: object) -> object:
    return None if value in ("", "null") else value


PathText = Annotated[str, AfterValidator(_file_system_text)]
Hash = Annotated[str, AfterValidator(_hash_text)]
RowId = Annotated[int, Field(strict=True, ge=1, le=ROW_ID_MAX)]


class HashRequest(BaseModel):
    """A file to hash; `pending`: its pending row is migrated then."""

    path: Annotated[PathText, Field(min_length=1)]
    pending_status: Literal["pending", "ignore"] = "ignore"


class RetryRequest(BaseModel):
    """Rows of the queue to try again; none named: all that failed or are missing."""

    ids: list[RowId] | None = None


class ImportOneRequest(BaseModel):
    """One row of the queue to migrate; no strategy: a conflict is the answer when its content is known.

    `path` says where its file lies now, when that is not where the row says; no strategy is the configured one then.
    """

    id: RowId
    conf_strategy: Annotated[Strategy | None, BeforeValidator(_none_from_empty)] = None
    path: PathText = ""


class ImportManyRequest(BaseModel):
    """Rows of the queue to migrate; no strategy: those whose content is known are told as conflicts."""

    id: Annotated[list[RowId], Field(max_length=ROWS_AT_ONCE_MAX)]
    conflict_strategy: Annotated[Strategy | None, BeforeValidator(_none_from_empty)] = None


class SampleRequest(BaseModel):
    """A model whose pictures are asked for."""

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


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """Every error."""

    error: str


class Tag(_Answer):
    """A tag."""

    id: int
    name: str


class FoundModel(_Answer):
    """A model that a search found."""

    sha256: str
    name: str
    type: str
    path: str
    size_bytes: int
    created_at: int
    tags: list[Tag]


class ListedModel(FoundModel):
    """A model in a list."""

    images_count: int


class Prompts(BaseModel):
    """The prompts that go with a model."""

    model_config = ConfigDict(extra="allow")

    positive: Any
    negative: Any


class ModelMeta(BaseModel):
    """What is known of a model besides its columns, with every key of its source that is not understood."""

    model_config = ConfigDict(extra="allow")

    description: Any
    community_links: Any
    images_count: int
    prompts: Prompts


class PendingMeta(BaseModel):
    """The same of a pending row; `images` are base names."""

    model_config = ConfigDict(extra="allow")

    description: Any
    community_links: Any
    images: list[str]
    prompts: Prompts


class FullModel(FoundModel):
    """A model."""

    meta_json: ModelMeta


class ListedPending(_Answer):
    """A pending row in a list."""

    id: int
    name: str
    image: str
    type: str
    tags: list[Tag]


class FullPending(_Answer):
    """A pending row."""

    id: int
    path: str
    sha256: str
    name: str
    type: str
    size_bytes: int
    created_at: int
    meta_json: PendingMeta
    tags: list[Tag]


class Further(_Answer):
    """What is known besides and that lists leave out."""

    base: str


class QueueRow(FullPending, Further):
    """A pending row and where it stands in the queue."""

    image: str
    source: str
    state: Literal["waiting", "conflict", "failed", "missing"]
    attempts: int
    due_at: int
    last_error: str


class Picture(_Answer):
    """A picture of a model; its size is that of the high quality, in pixels."""

    seq: int
    width: int
    height: int
    source_digest: str


class Place(_Answer):
    """A path at which a model's file is or was."""

    path: str
    state: Literal["present", "missing", "unreachable"]
    claimed: bool
    size_bytes: int
    first_seen: int
    last_seen: int


class Refused(_Answer):
    """A picture that could not be used."""

    file: str
    reason: str


class DetailedModel(Further):
    """A model with everything that belongs to it."""

    model: FullModel
    last_used_at: int
    images: list[Picture]
    locations: list[Place]
    refused: list[Refused]


class DetailedPending(_Answer):
    """A pending row and the model that has its content already; `lost_keys`: what merging would lose."""

    pending: QueueRow
    existing: DetailedModel | None
    lost_keys: list[str]


class Types(_Answer):
    """Types of models."""

    types: list[str]


class Models(_Answer):
    """Models in a list."""

    models: list[ListedModel]


class FoundModels(_Answer):
    """Models that a search found."""

    models: list[FoundModel]


class PendingModels(_Answer):
    """Pending rows in a list."""

    models: list[ListedPending]


class DuplicateModel(_Answer):
    """One content at several places.

    `copies`: the files that hold it, each with all its names (more than one are hard links). `away`: places that are
    missing, unreachable, or whose hash is not confirmed yet.
    """

    sha256: str
    name: str
    type: str
    size_bytes: int
    copies: list[list[str]]
    symbolic_links: list[str]
    away: list[Place]
    freeable_bytes: int


class Duplicates(_Answer):
    """Contents that lie at several places."""

    duplicates: list[DuplicateModel]
    freeable_bytes: int


class QueueRows(_Answer):
    """Rows of the queue."""

    pending: list[QueueRow]


class Hashed(BaseModel):
    """A file's hash, and what became of its pending row."""

    sha256: str
    action_taken: str | None = None


class Migrated(_Answer):
    """What became of a pending row."""

    status: Literal["success"]
    sha256: str
    action_taken: str


class _PendingSide(_Answer):
    id: int
    path: str


class _ModelSide(_Answer):
    id: str
    path: str


class BothSides(_Answer):
    """A conflict in a batch; `id` of the existing one is its hash."""

    pending: _PendingSide
    existing: _ModelSide


class FailedRow(_Answer):
    """A row that could not be migrated, and why."""

    id: int
    error: str


class MigratedMany(_Answer):
    """What became of each row of a batch."""

    total: int
    success: list[int]
    conflict: list[BothSides]
    ignored: list[int]
    deleted: list[int]
    failed: list[FailedRow]


class PictureCount(_Answer):
    """How many pictures a model has."""

    count: int


class Uploaded(_Answer):
    """The picture that was added, or was there already."""

    status: Literal["success"]
    base_name: str


class Removed(_Answer):
    """How many pictures are left."""

    status: Literal["success"]
    count: int


class ImportConflict(Failure):
    """Both sides of a conflict."""

    existing: FullModel
    pending: FullPending
