"""What the documentation at `/docs` says about rows of the queue, and what a decision about one does."""

from typing import Any, Literal

from pydantic import ConfigDict

from modelkeep.api.answers import DetailedModel, FullModel, Prompts, Tag
from modelkeep.api.answers_base import Answer, Documented, Failure, Further


class PendingMeta(Documented):
    """The same of a pending row; `images` are base names."""

    model_config = ConfigDict(extra="allow")

    description: Any
    community_links: Any
    images: list[str]
    prompts: Prompts


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


class QueueRow(FullPending, Further):
    """A pending row and where it stands in the queue."""

    image: str
    source: str
    state: Literal["waiting", "conflict", "failed", "missing"]
    attempts: int
    due_at: int
    last_error: str


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


class PendingModels(Answer):
    """Pending rows in a list."""

    models: list[ListedPending]


class QueueRows(Answer):
    """Rows of the queue."""

    pending: list[QueueRow]


class ImportConflict(Failure):
    """Both sides of a conflict."""

    existing: FullModel
    pending: FullPending
