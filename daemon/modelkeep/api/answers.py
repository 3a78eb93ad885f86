"""What the documentation at `/docs` says about models, rows of the queue, and tags."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """An answer has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """Every error."""

    error: str


class Tag(Answer):
    """A tag."""

    id: int
    name: str


class Tags(Answer):
    """Tags."""

    tags: list[Tag]


class ColoredTag(Tag):
    """A tag with its colour."""

    color: str


class CarriedTag(ColoredTag):
    """A tag, and how many models and pending rows carry it."""

    models: int
    pending: int


class CarriedTags(Answer):
    """Tags and what carries them."""

    tags: list[CarriedTag]


class FoundModel(Answer):
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


class ListedPending(Answer):
    """A pending row in a list."""

    id: int
    name: str
    image: str
    type: str
    tags: list[Tag]


class FullPending(Answer):
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


class Further(Answer):
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


class Image(Answer):
    """An image of a model; its size is that of the high quality, in pixels."""

    seq: int
    width: int
    height: int
    source_digest: str


class Place(Answer):
    """A path at which a model's file is or was."""

    path: str
    state: Literal["present", "missing", "unreachable"]
    claimed: bool
    size_bytes: int
    first_seen: int
    last_seen: int


class Refused(Answer):
    """An image that could not be used."""

    file: str
    reason: str


class Header(Answer):
    """What a file's own header says, within bounds: values that are too large stand there as a summary.

    `problem` says why that is not all; `meaning` is what of it is understood, by the names that all sources share.
    """

    format: Literal["", "safetensors", "gguf"]
    keys: dict[str, Any]
    problem: str
    meaning: dict[str, Any]


class Claim(Answer):
    """A hash that a source holds for a model; `verdict` is what the content itself says of it."""

    kind: str
    value: str
    grade: Literal["A", "B", "C", "D"]
    size_bytes: int | None
    mtime_ns: int | None
    verdict: Literal["open", "confirmed", "refuted"]
    of_sibling: str


class SourceImage(Answer):
    """An image beside a model."""

    path: str
    rank: str


class Source(Answer):
    """What a file beside a model, or a row of another manager's database, says; `raw` is all of it."""

    id: int
    kind: str
    key: str
    gone: bool
    first_seen: int
    last_seen: int
    standing: str
    updated_at: int
    original_path: str
    size_bytes: int
    meaning: dict[str, Any]
    owned: list[str]
    claims: list[Claim]
    images: list[SourceImage]
    remarks: list[str]
    raw: dict[str, Any]


class AttachedSource(Source):
    """A source and why it counts as one of this model."""

    how: str


class Offered(Answer):
    """A model that is offered to a source without one."""

    sha256: str
    path: str
    by: Literal["hash", "size and name", "neighbourhood"]
    similarity: float


class Orphan(Answer):
    """A source without a model."""

    id: int
    kind: str
    key: str
    stem: str
    title: str
    gone: bool
    first_seen: int
    offers: list[Offered]


class DetailedOrphan(Orphan):
    """A source without a model, whole."""

    record: Source


class Orphans(Answer):
    """Sources without a model."""

    orphans: list[Orphan]


class Sibling(Answer):
    """Another model whose file holds the same tensors under a different header.

    `heir` is the model that has taken over what is known of it, or empty.
    """

    sha256: str
    name: str
    path: str
    size_bytes: int
    state: Literal["present", "missing", "unreachable"]
    heir: str


class DetailedModel(Further):
    """A model with everything that belongs to it.

    `digests` are those by which tools know its content: `sha256`, `autov1`, `autov2`, `autov3`, `tensor-sha256` (of
    all that follows the header) and `blake3`; empty where there is none, or none is known yet. `sources` has what
    other tools know of it, by tool.
    """

    model: FullModel
    last_used_at: int
    images: list[Image]
    locations: list[Place]
    refused: list[Refused]
    digests: dict[str, str]
    header: Header
    sources: dict[str, list[AttachedSource]]
    siblings: list[Sibling]


class Effect(Answer):
    """What a strategy replaces and adds in the model, and what is lost with the row: names of values, and of tags.

    `image` says what becomes of the row's image.
    """

    replaced: list[str]
    added: list[str]
    added_tags: list[str]
    image: Literal["", "added", "replaced"]
    lost: list[str]
    lost_tags: list[str]
    image_lost: bool


class Outcome(Further):
    """What a strategy would do: the model as it stands afterwards, and the number that the row's image takes."""

    action: str
    model: FullModel
    image: int | None
    removes_row: bool
    effect: Effect


class Sides(Answer):
    """What both sides of a conflict say, as texts by name; of nested values the name has dots."""

    pending: dict[str, str]
    existing: dict[str, str]


class DetailedPending(Answer):
    """A pending row and the model that has its content already; `lost_keys`: what merging would lose.

    `offers` has the paths at which a missing file may lie now: present files of its name and size. `outcomes` has
    what each strategy would do, by its name.
    """

    pending: QueueRow
    existing: DetailedModel | None
    lost_keys: list[str]
    offers: list[str]
    sides: Sides
    outcomes: dict[str, Outcome]


class Types(Answer):
    """Types of models."""

    types: list[str]


class TypeCount(Answer):
    """A type, and how many models are of it; without a type the empty text."""

    type: str
    models: int


class ModelCounts(Answer):
    """Numbers of models."""

    total: int
    types: list[TypeCount]


class Models(Answer):
    """Models in a list."""

    models: list[ListedModel]


class FoundModels(Answer):
    """Models that a search found."""

    models: list[FoundModel]


class PendingModels(Answer):
    """Pending rows in a list."""

    models: list[ListedPending]


class DuplicateModel(Answer):
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


class Relative(Answer):
    """One of several models with the same tensors."""

    sha256: str
    name: str
    type: str
    path: str
    size_bytes: int


class Duplicates(Answer):
    """Contents that lie at several places.

    `siblings` are groups of models that are there with the same tensors under different headers: no copies.
    """

    duplicates: list[DuplicateModel]
    freeable_bytes: int
    siblings: list[list[Relative]]


class QueueRows(Answer):
    """Rows of the queue."""

    pending: list[QueueRow]


class ImportConflict(Failure):
    """Both sides of a conflict."""

    existing: FullModel
    pending: FullPending


class OutdatedModel(Failure):
    """What there is now in the place of what the caller knew."""

    existing: FullModel
