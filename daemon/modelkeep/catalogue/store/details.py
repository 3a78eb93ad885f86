"""Answers that are put together from several tables: a model, or a row of the queue, with what belongs to it."""

import sqlalchemy as sa

from modelkeep.catalogue.store.contents import content_of
from modelkeep.catalogue.store.images import images_of, refused_names, refused_of
from modelkeep.catalogue.store.locations import locations_of
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.offers import find_offers
from modelkeep.catalogue.store.pending import get_pending, image_names
from modelkeep.catalogue.store.siblings import siblings_of
from modelkeep.catalogue.store.source_images import kept_names
from modelkeep.domain.details import ModelDetails, PendingDetails
from modelkeep.domain.planning import lost_by_merge
from modelkeep.domain.values import PendingState


def model_details(connection: sa.Connection, sha256: str) -> ModelDetails | None:
    """Return a model with its images and locations."""
    model = get_model(connection, sha256)
    if model is None:
        return None
    return ModelDetails(
        model,
        tuple(images_of(connection, sha256)),
        tuple(locations_of(connection, sha256)),
        tuple(refused_of(connection, sha256)),
        content_of(connection, sha256),
        tuple(siblings_of(connection, sha256)),
    )


def pending_details(connection: sa.Connection, pending_id: int) -> PendingDetails | None:
    """Return a row of the queue, the model that has its content already, and what merging them would lose."""
    row = get_pending(connection, pending_id)
    if row is None:
        return None
    existing = model_details(connection, row.sha256) if row.sha256 else None
    if existing is None:
        is_missing = row.state is PendingState.MISSING
        return PendingDetails(row, offers=tuple(find_offers(connection, [row]).get(row.id, ()) if is_missing else ()))
    paths = [location.path for location in existing.locations]
    return PendingDetails(row, existing, lost_by_merge(row, existing.model, paths))


def pending_images(connection: sa.Connection) -> set[str]:
    """Return the base names under `images/pending/` that something refers to."""
    return image_names(connection) | refused_names(connection) | kept_names(connection)
