"""What the owner does to images and models by hand, decided from what is known. Pure, as `planning` is.

Most of these acts touch two places, the catalogue and the image files, so each is planned, committed and published
as a migration is: staged files get their published names, and published ones that nothing names any more go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelkeep.domain.details import ModelDetails
from modelkeep.domain.edits import Edit, edited
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.planning import next_seq
from modelkeep.domain.values import ImageRow, LocationState, Model, RenderedImage, Tag, TierFile
from modelkeep.errors import Conflict, NotFound, Outdated


class ActKind(StrEnum):
    """What the owner does; the journal calls it the action."""

    IMAGE_REMOVED = "image_removed"
    IMAGE_UPLOADED = "image_uploaded"
    PURGED = "purged"
    EDITED = "edited"
    INHERITED = "inherited"
    """It takes over what is known of another content with the same tensors."""


@dataclass(frozen=True, slots=True)
class ActOrder:
    """One act on one model.

    `migration` is its id, `seq` the image to remove, `image` the staged tiers of the one to add, `lost` those of
    the model's published files that are not there. `edit` is what the model shall say, and `is_current` tells whether
    it is still as whoever asks knows it. `origin` is the content from which it takes over, and `by_owner` whether he
    asked for it: what the daemon does by itself takes nothing's place.
    `cause` is what the journal says of why, where that is something else.
    """

    migration: str
    kind: ActKind
    sha256: str
    seq: int = 0
    image: RenderedImage | None = None
    lost: frozenset[str] = frozenset()
    edit: Edit | None = None
    is_current: Callable[[ModelDetails], bool] = lambda _: True
    origin: str = ""
    by_owner: bool = True
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ActPlan:
    """What an act does.

    `images` are the model's images as they stand afterwards, `seq` the one that is removed or added. `links` says
    which published file each staged name has to stand for before the act may commit; `files` get their published
    names after it, then the published files in `removed` and the pending originals in `originals` go. `model` is how
    the model is, `edited` how an edit leaves it. `changes` is False when all is as it shall be already, or the owner
    has to decide because of what is `differing`.
    """

    order: ActOrder
    model: Model
    seq: int | None = None
    images: tuple[ImageRow, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    files: tuple[TierFile, ...] = ()
    removed: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    edited: Model | None = None
    changes: bool = True
    differing: tuple[str, ...] = ()

    @property
    def moved_down(self) -> int:
        """How many later images close the gap of the one that is removed."""
        return len(self.links) // len(QUALITIES) if self.order.kind is ActKind.IMAGE_REMOVED else 0


def plan_act(order: ActOrder, known: ModelDetails, tags: Mapping[int, Tag] | None = None) -> ActPlan:
    """Return what an act does.

    Args:
        order: what is to be done.
        known: the model.
        tags: those of the tags which an edit names that there are.

    Raises:
        NotFound: the model has no such image, or there is no such tag.
        Outdated: the model is no longer as whoever asks knows it.
        Conflict: the model cannot be purged or has no file at a path, with the reason.
        OutsideRoots: no root contains a path.
    """
    if not order.is_current(known):
        raise Outdated(f"{known.model.name or order.sha256[:12]} was changed meanwhile: this is how it is now")
    if order.kind is ActKind.IMAGE_REMOVED:
        return _plan_removal(order, known)
    if order.kind is ActKind.IMAGE_UPLOADED:
        return _plan_upload(order, known)
    if order.kind is ActKind.EDITED:
        assert order.edit is not None, "nobody orders it without"  # noqa: S101 - a fact of the program
        after = edited(known.model, known.locations, order.edit, tags or {})
        return ActPlan(order, known.model, images=known.images, edited=after, changes=after != known.model)
    return _plan_purge(order, known)


def published_names(images: Sequence[ImageRow]) -> list[str]:
    """Return the base names of the published files of images."""
    return [image_name(image.sha256, image.seq, quality) for image in images for quality in QUALITIES]


def refuse_purge(known: ModelDetails) -> None:
    """Raise Conflict when a model is more than a memory: a file of it is there, or may be."""
    name = known.model.name or known.model.sha256[:12]
    for location in known.locations:
        if location.state is LocationState.PRESENT:
            raise Conflict(
                f"{name} is not purged, for its file is there: {location.path}; if it is gone, run `modelkeep scan`"
            )
        if location.state is LocationState.UNREACHABLE:
            raise Conflict(
                f"{name} is not purged, for it is unknown whether its file is gone: {location.path} is on a drive"
                " that is not there; connect the drive first"
            )


def _plan_removal(order: ActOrder, known: ModelDetails) -> ActPlan:
    """Remove an image; each later one takes the next lower number."""
    if all(image.seq != order.seq for image in known.images):
        raise NotFound(f"{known.model.name or order.sha256[:12]} has no image number {order.seq}")
    later = [image for image in known.images if image.seq > order.seq]
    links, files = {}, []
    for image in later:
        for quality in QUALITIES:
            staged = f"{order.migration}_{image.seq}_{quality}.webp"
            links[staged] = image_name(image.sha256, image.seq, quality)
            files.append(TierFile(staged, image_name(image.sha256, image.seq - 1, quality)))
    given_up = published_names([image for image in known.images if image.seq >= order.seq])
    taken = {file.final for file in files}
    return ActPlan(
        order,
        known.model,
        order.seq,
        tuple(_without(known.images, order.seq)),
        links,
        tuple(files),
        tuple(name for name in given_up if name not in taken),
    )


def _plan_upload(order: ActOrder, known: ModelDetails) -> ActPlan:
    """Add an image as the next one; one that is there already is the answer itself, unless its files are lost."""
    image = order.image
    assert image is not None, "nobody orders it without"  # noqa: S101 - a fact of the program, not of its input
    if known.images and not order.by_owner:
        return ActPlan(order, known.model, images=known.images, changes=False)
    for held in known.images:
        if held.source_digest == image.source_digest:
            if order.lost.isdisjoint(published_names([held])):
                return ActPlan(order, known.model, held.seq, known.images, changes=False)
            return ActPlan(order, known.model, held.seq, known.images, files=_files_of(image, order, held.seq))
    seq = next_seq(known.images)
    row = ImageRow(order.sha256, seq, image.width, image.height, image.source_digest)
    return ActPlan(order, known.model, seq, (*known.images, row), files=_files_of(image, order, seq))


def _plan_purge(order: ActOrder, known: ModelDetails) -> ActPlan:
    refuse_purge(known)
    originals = tuple(image.file for image in known.refused)
    return ActPlan(order, known.model, removed=tuple(published_names(known.images)), originals=originals)


def _without(images: Sequence[ImageRow], seq: int) -> list[ImageRow]:
    return [replace(image, seq=image.seq - 1) if image.seq > seq else image for image in images if image.seq != seq]


def _files_of(image: RenderedImage, order: ActOrder, seq: int) -> tuple[TierFile, ...]:
    return tuple(TierFile(staged, image_name(order.sha256, seq, quality)) for quality, staged in image.staged.items())
