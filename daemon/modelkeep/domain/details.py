"""What one question about a model or a pending row is answered with: the row and what belongs to it."""

from dataclasses import dataclass

from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.values import ImageRow, Location, LocationState, Model, PendingImport


@dataclass(frozen=True, slots=True)
class RefusedImage:
    """A pending row's image that could not be used; `file` is its base name under `images/pending/`."""

    file: str
    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another model whose file holds the same tensors under a different header.

    `state` is that of its best location, `heir` the content that has taken over what is known of it, or empty.
    """

    sha256: str
    name: str
    path: str
    size_bytes: int
    state: LocationState
    heir: str = ""


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """A model with its images, its locations, the images that could not be used, and what is kept of its bytes."""

    model: Model
    images: tuple[ImageRow, ...] = ()
    locations: tuple[Location, ...] = ()
    refused: tuple[RefusedImage, ...] = ()
    content: ContentRow | None = None
    siblings: tuple[Sibling, ...] = ()

    @property
    def images_count(self) -> int:
        """Number of images; derived, never stored."""
        return len(self.images)


@dataclass(frozen=True, slots=True)
class PendingDetails:
    """A pending row, the model that holds its content already, and what merging the two would lose.

    `offers` are the paths at which the file of a missing row may lie now.
    """

    pending: PendingImport
    existing: ModelDetails | None = None
    lost_keys: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
