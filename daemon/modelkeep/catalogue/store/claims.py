"""A claim that the file refutes: what was known under the claimed hash stays there, and follows the file as well."""

from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.store.locations import forget_location, locations_of
from modelkeep.catalogue.store.models import get_model
from modelkeep.catalogue.store.pending import delete_pending, detect, get_pending_by_path, insert_pending
from modelkeep.catalogue.store.pictures import images_of
from modelkeep.catalogue.store.tags import tag_pending
from modelkeep.catalogue.tables import pending_import
from modelkeep.domain.claims import Refuted
from modelkeep.domain.detection import Found
from modelkeep.domain.naming import Root
from modelkeep.domain.values import CLAIM_SOURCE, Model, PendingImport


def has_claimed_picture(connection: sa.Connection, sha256: str, path: str) -> bool:
    """Tell whether a model that no file is known to be has a picture."""
    return bool(images_of(connection, sha256)) and _is_only_claimed(connection, sha256, path)


def refute_claim(
    connection: sa.Connection, refuted: Refuted, picture: str, roots: Sequence[Root], now_ms: int
) -> tuple[PendingImport, bool]:
    """Take a path from the model that claimed it, and queue its file.

    The model keeps all that it knows. When no other file is known to be it, that was said of this file, so the row of
    the file says the same.

    Args:
        connection: the writer's connection.
        refuted: the claim and the truth.
        picture: ending of the copied picture of the claimed model, empty when there is none.
        roots: the configured roots.
        now_ms: time of the transaction.

    Returns:
        The row of the file, and whether it takes the copied picture.
    """
    claimed = get_model(connection, refuted.claimed)
    is_about_the_file = _is_only_claimed(connection, refuted.claimed, refuted.path)
    forget_location(connection, refuted.path)
    waiting = get_pending_by_path(connection, refuted.path)
    if waiting is not None and not waiting.knows_nothing:
        return waiting, False
    if claimed is None or not is_about_the_file:
        return detect(connection, [Found(refuted.path, refuted.fingerprint.size_bytes)], roots, now_ms)[0][0], False
    if waiting is not None:
        delete_pending(connection, waiting.id)
    row = _row_of(claimed, refuted, now_ms)
    row = row.evolve(id=insert_pending(connection, row), tags=claimed.tags)
    tag_pending(connection, row.id, [tag.id for tag in claimed.tags])
    if not picture:
        return row, False
    # The picture is named after the row, whose id is known only now.
    row = row.evolve(image=f"{row.id}{picture}")
    connection.execute(sa.update(pending_import).where(pending_import.c.id == row.id).values(image=row.image))
    return row, True


def _is_only_claimed(connection: sa.Connection, sha256: str, path: str) -> bool:
    return all(place.claimed or place.path == path for place in locations_of(connection, sha256))


def _row_of(claimed: Model, refuted: Refuted, now_ms: int) -> PendingImport:
    return PendingImport(
        id=0,
        path=refuted.path,
        name=claimed.name,
        type=claimed.type,
        base=claimed.base,
        size_bytes=refuted.fingerprint.size_bytes,
        created_at=claimed.created_at,
        meta=claimed.meta,
        source=CLAIM_SOURCE,
        due_at=now_ms,
    )
