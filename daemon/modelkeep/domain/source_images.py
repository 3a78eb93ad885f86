"""Images of source records on their way into models, or kept while their record has none."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image that a content is to have.

    `path` is where its record names it, `kept` the base name of its copy in images/pending or empty, `record_digest`
    that of the record: another one may be another image under the same name. `is_thumbnail`: it counts only where
    there is no other. `content` are the bytes of an image that stands in its record, None for one in a file.
    """

    sha256: str
    path: str
    record_digest: str
    kept: str = ""
    is_thumbnail: bool = False
    content: bytes | None = None


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


class RefusedFile(NamedTuple):
    """A file that could not be taken as a record, as it was then, and why."""

    size_bytes: int
    mtime_ns: int
    reason: str


def embedded_path(record_key: str, name: str) -> str:
    """Return the path of an image that stands as a data URL in the raw object of a record, under this name."""
    return f"{record_key}#{name}"


def embedded_name(record_key: str, path: str) -> str:
    """Return the name under which an image stands in its record; empty for one that is a file of its own."""
    before, mark, name = path.partition(f"{record_key}#")
    return name if mark and not before else ""
