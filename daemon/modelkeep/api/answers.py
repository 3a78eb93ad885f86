"""What the documentation at `/docs` says about models and tags."""

from typing import Any, Literal

from pydantic import ConfigDict

from modelkeep.api.answers_base import Answer, Documented, Failure, Further
from modelkeep.api.source_answers import AttachedSource


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


class Prompts(Documented):
    """The prompts that go with a model."""

    model_config = ConfigDict(extra="allow")

    positive: Any
    negative: Any


class ModelMeta(Documented):
    """What is known of a model besides its columns, with every key of its source that is not understood."""

    model_config = ConfigDict(extra="allow")

    description: Any
    community_links: Any
    images_count: int
    prompts: Prompts


class FullModel(FoundModel):
    """A model."""

    meta_json: ModelMeta


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


class OutdatedModel(Failure):
    """What there is now in the place of what the caller knew."""

    existing: FullModel
