"""What a content takes over from another whose file holds the same tensors under a different header. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain.acts import ActOrder, ActPlan, published_names
from modelkeep.domain.applying import is_as_given, overlaid, without
from modelkeep.domain.details import ModelDetails
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.knowledge import Meaning
from modelkeep.domain.planning import decide, lost_by_merge, next_seq
from modelkeep.domain.values import ImageRow, LocationState, Model, PendingImport, Strategy, TierFile
from modelkeep.errors import Conflict

SIBLING_SOURCE = "sibling"


@dataclass(frozen=True, slots=True)
class Given:
    """What the records of two models have said so far: nobody else's word, which one may take from another."""

    heir: Meaning
    origin: Meaning


NOTHING_GIVEN = Given(Meaning(), Meaning())


def plan_inheritance(
    order: ActOrder,
    heir: ModelDetails,
    origin: ModelDetails,
    given: Given = NOTHING_GIVEN,
) -> ActPlan:
    """Return what a model takes over: gaps are filled, lists unite, images follow its own. The other keeps all.

    Of a text that both have, somebody's own words go before what records gave. What the daemon does on its own
    happens only where the other model has no file any more, nobody has taken over from it, and no words of anybody
    would be lost; `differing` are the keys under which they would.

    Args:
        order: what is to be done.
        heir: the model that takes over.
        origin: the one from which it does.
        given: what their records said.

    Raises:
        Conflict: they have not the same tensors.
    """
    if not _have_same_tensors(heir, origin):
        raise Conflict(f"{_name(origin)} and {_name(heir)} have not the same tensors, as far as is known")
    paths = [location.path for location in heir.locations]
    lost = lost_by_merge(_row(origin.model), heir.model, paths)
    own, differing = _own_words(heir, origin, given, lost)
    if not order.by_owner and (differing or not _is_gone(origin) or _is_gone(heir) or _is_taken(origin)):
        return ActPlan(order, heir.model, changes=False, differing=differing)
    row = _row(without(origin.model, lost))
    decision = decide(row, order.sha256, heir.model.size_bytes, heir.model, paths, (), None, Strategy.AUTO)
    model = overlaid(decision.model or heir.model, origin.model, own)
    tags = {tag.id: tag for tag in (*heir.model.tags, *origin.model.tags)}
    after = model.evolve(
        tags=tuple(tags.values()), last_used_at=max(heir.model.last_used_at, origin.model.last_used_at)
    )
    new = _new_images(order, heir, origin)
    first = next_seq(heir.images)
    links = {
        _staged(order, seq, quality): image_name(image.sha256, image.seq, quality)
        for seq, image in enumerate(new, first)
        for quality in QUALITIES
    }
    files = [
        TierFile(_staged(order, seq, quality), image_name(order.sha256, seq, quality))
        for seq in range(first, first + len(new))
        for quality in QUALITIES
    ]
    taken = [
        ImageRow(order.sha256, seq, image.width, image.height, image.source_digest)
        for seq, image in enumerate(new, first)
    ]
    return ActPlan(order, heir.model, images=(*heir.images, *taken), links=links, files=tuple(files), edited=after)


def _own_words(
    heir: ModelDetails, origin: ModelDetails, given: Given, keys: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return under which keys somebody's words at the origin go first, and under which both have such words."""
    own = [key for key in keys if not is_as_given(origin.model, given.origin, key)]
    differing = tuple(key for key in own if not is_as_given(heir.model, given.heir, key))
    return tuple(key for key in own if key not in differing), differing


def _row(known: Model) -> PendingImport:
    """Return a row of the queue that says what is known of a model."""
    return PendingImport(id=0, path=known.path, source=SIBLING_SOURCE, tags=known.tags, **known.description)


def _new_images(order: ActOrder, heir: ModelDetails, origin: ModelDetails) -> Sequence[ImageRow]:
    """Return the images that the heir lacks; without those that have lost their files."""
    known = {image.source_digest for image in heir.images}
    return [
        image
        for image in origin.images
        if image.source_digest not in known and order.lost.isdisjoint(published_names([image]))
    ]


def _staged(order: ActOrder, seq: int, quality: str) -> str:
    return f"{order.migration}_{seq}_{quality}.webp"


def _have_same_tensors(one: ModelDetails, other: ModelDetails) -> bool:
    return (
        one.content is not None
        and other.content is not None
        and bool(one.content.tensors)
        and one.content.tensors == other.content.tensors
        and one.model.sha256 != other.model.sha256
    )


def _is_gone(known: ModelDetails) -> bool:
    return all(location.state is LocationState.MISSING for location in known.locations)


def _is_taken(origin: ModelDetails) -> bool:
    return origin.content is not None and bool(origin.content.heir)


def _name(known: ModelDetails) -> str:
    return known.model.name or known.model.sha256[:12]
