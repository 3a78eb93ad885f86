"""Tags and what carries them; what the owner does to them by hand: what is asked for, and what came of it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from modelkeep.domain.values import Tag

COLOR = re.compile(r"^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,32})?$")
"""What may stand where a page expects a colour: a front end puts it into a style."""


@dataclass(frozen=True, slots=True)
class CarriedTag:
    """A tag, and how many models and rows of the queue carry it."""

    tag: Tag
    models: int
    rows: int


class TagActKind(StrEnum):
    """What the owner does; the journal calls it the action."""

    ADDED = "tags_added"
    CHANGED = "tag_changed"
    REMOVED = "tag_removed"


@dataclass(frozen=True, slots=True)
class TagOrder:
    """One act.

    `migration` is its id, `names` are those to add, `tag_id` is the one to change or to remove. `name` and `color`
    are what it shall have; None: what it has.
    """

    migration: str
    kind: TagActKind
    names: tuple[str, ...] = ()
    tag_id: int = 0
    name: str | None = None
    color: str | None = None


@dataclass(frozen=True, slots=True)
class TagPlan:
    """What an act does.

    `tags` are those that are asked for, as they are afterwards, a removed one as it was; `names` are those of them
    that are made, changed or removed. `before` is the one that changes; `models` carry the one that is removed.
    `changes` is False when everything is as it shall be already.
    """

    order: TagOrder
    tags: tuple[Tag, ...]
    names: tuple[str, ...]
    before: Tag | None = None
    models: int = 0
    changes: bool = True
