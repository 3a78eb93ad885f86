"""What the documentation at `/docs` says about what other tools know of models, and about orphans."""

from typing import Any, Literal

from modelkeep.api.answers_base import Answer


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
