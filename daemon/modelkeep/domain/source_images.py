"""Images of source records on their way into models, or kept while their record has none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image that a content is to have.

    `path` is where its record names it, `kept` the base name of its copy in images/pending or empty, `record_digest`
    that of the record: another one may be another image under the same name. `is_thumbnail`: it counts only where
    there is no other.
    """

    sha256: str
    path: str
    record_digest: str
    kept: str = ""
    is_thumbnail: bool = False


@dataclass(frozen=True, slots=True)
class UnkeptImage:
    """An image of a record without a model, of which no copy is kept yet."""

    record_id: int
    path: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that a record was read from, as it was then."""

    id: int
    kind: str
    key: str
    size_bytes: int | None
    mtime_ns: int | None
    models: tuple[str, ...] = ()
