"""All that is known, as an archive holds it: read in portions, for there may be gigabytes of it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from modelkeep.base.portions import in_portions
from modelkeep.catalogue.dialect import among
from modelkeep.catalogue.store.bulk import all_rows
from modelkeep.catalogue.store.contents import contents_of
from modelkeep.catalogue.store.images import images_of_all
from modelkeep.catalogue.store.locations import locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.pending import get_pendings
from modelkeep.catalogue.store.records import kept_records
from modelkeep.catalogue.store.tags import list_tags
from modelkeep.catalogue.tables import (
    contents,
    images,
    knowledge,
    models,
    pending_import,
    record_images,
    record_targets,
    source_records,
    taken_images,
)
from modelkeep.domain.archive import (
    CONTENTS,
    MODELS,
    PENDING,
    SOURCES,
    TAGS,
    ArchivedContent,
    ArchivedImage,
    ArchivedImages,
    ArchivedKept,
    ArchivedLocation,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    ArchivedTaking,
    ArchivedTarget,
    Members,
)
from modelkeep.domain.json_text import json_text
from modelkeep.domain.legacy import LegacyTag
from modelkeep.domain.values import JsonObject

T = TypeVar("T")

AT_ONCE = 500
"""Of each kind that are in memory together."""


def archived(connection: sa.Connection, keep: Callable[[Members], None]) -> ArchivedImages:
    """Hand over everything that is known, images without their files.

    Args:
        connection: a connection in a transaction.
        keep: goes through all of it, once and in its order.

    Returns:
        Which images there are.
    """
    keep(
        {
            TAGS: (LegacyTag(tag.name, tag.color, tag.created_at) for tag in list_tags(connection)),
            MODELS: _by_portions(connection, models.c.sha256, _models),
            PENDING: _by_portions(connection, pending_import.c.id, _rows),
            SOURCES: _by_portions(connection, source_records.c.id, _records),
            CONTENTS: _by_portions(connection, contents.c.sha256, _contents),
        }
    )
    return archived_images(connection)


def archived_images(connection: sa.Connection) -> ArchivedImages:
    """Return which images an archive that is made now has to hold."""
    count, digest = 0, hashlib.sha256()
    of_models = sa.select(images.c.sha256, images.c.seq, images.c.source_digest).order_by(*images.primary_key)
    of_rows = sa.select(pending_import.c.path, pending_import.c.image).where(pending_import.c.image != "")
    for row in all_rows(connection, of_models):
        count += 1
        digest.update(json_text(row).encode())
    for row in all_rows(connection, of_rows.order_by(pending_import.c.id)):
        digest.update(json_text(row).encode())
    return ArchivedImages(count, digest.hexdigest())


def _by_portions(
    connection: sa.Connection, key: sa.Column[Any], values: Callable[[sa.Connection, Sequence[Any]], Iterator[T]]
) -> Iterator[T]:
    """Yield the values of all rows of a table in the order of a key, few of them at a time."""
    keys = (row[0] for row in all_rows(connection, sa.select(key).order_by(key)))
    for some in in_portions(keys, AT_ONCE):
        yield from values(connection, some)


def _models(connection: sa.Connection, hashes: Sequence[str]) -> Iterator[ArchivedModel]:
    known, stored = get_models(connection, hashes), images_of_all(connection, hashes)
    locations = locations_of_all(connection, hashes)
    said, taken = _said(connection, hashes), _taken(connection, hashes)
    for sha256 in hashes:
        model = known[sha256]
        yield ArchivedModel(
            sha256,
            model.path,
            **model.description,
            size_bytes=model.size_bytes,
            last_used_at=model.last_used_at,
            tags=tuple(sorted(tag.name for tag in model.tags)),
            locations=tuple(
                ArchivedLocation(each.path, each.state, each.claimed, each.first_seen, each.last_seen)
                for each in locations.get(sha256, [])
            ),
            images=tuple(
                ArchivedImage(image.seq, image.width, image.height, image.source_digest)
                for image in stored.get(sha256, ())
            ),
            said=said.get(sha256, {}),
            taken=tuple(taken.get(sha256, ())),
        )


def _said(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, JsonObject]:
    query = sa.select(knowledge.c.sha256, knowledge.c.base_json).where(among(knowledge.c.sha256, hashes))
    return {sha256: json.loads(base) for sha256, base in connection.execute(query)}


def _taken(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[ArchivedTaking]]:
    taken: dict[str, list[ArchivedTaking]] = {}
    query = sa.select(taken_images).where(among(taken_images.c.sha256, hashes))
    for row in connection.execute(query.order_by(*taken_images.primary_key)):
        taking = ArchivedTaking(row.path, row.record_digest, row.digest, row.reason)
        taken.setdefault(row.sha256, []).append(taking)
    return taken


def _rows(connection: sa.Connection, ids: Sequence[int]) -> Iterator[ArchivedRow]:
    found = get_pendings(connection, ids)
    for row in map(found.__getitem__, ids):
        yield ArchivedRow(
            row.path,
            row.sha256,
            **row.description,
            size_bytes=row.size_bytes,
            source=row.source,
            state=row.state,
            last_error=row.last_error,
            verified=row.verified,
            tags=tuple(sorted(tag.name for tag in row.tags)),
            image=row.image,
        )


def _records(connection: sa.Connection, ids: Sequence[int]) -> Iterator[ArchivedRecord]:
    found, targets, copies = kept_records(connection, ids), _targets(connection, ids), _copies(connection, ids)
    facts = {row.id: row for row in connection.execute(_FACTS.where(among(source_records.c.id, ids)))}
    for kept in map(found.__getitem__, ids):
        yield ArchivedRecord(
            kept.record,
            tuple(targets.get(kept.id, ())),
            kept.gone,
            kept.dropped,
            kept.first_seen,
            kept.last_seen,
            kept.asked,
            facts[kept.id].file_bytes,
            facts[kept.id].file_mtime_ns,
            tuple(copies.get(kept.id, ())),
        )


_FACTS = sa.select(source_records.c.id, source_records.c.file_bytes, source_records.c.file_mtime_ns)


def _targets(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ArchivedTarget]]:
    targets: dict[int, list[ArchivedTarget]] = {}
    query = sa.select(record_targets).where(among(record_targets.c.record_id, ids))
    for row in connection.execute(query.order_by(*record_targets.primary_key)):
        targets.setdefault(row.record_id, []).append(ArchivedTarget(row.path, row.sha256, row.how))
    return targets


def _copies(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[ArchivedKept]]:
    """Return the images of records without a model."""
    copies: dict[int, list[ArchivedKept]] = {}
    held = sa.select(record_images).where(among(record_images.c.record_id, ids), record_images.c.kept != "")
    for row in connection.execute(held.order_by(*record_images.primary_key)):
        copies.setdefault(row.record_id, []).append(ArchivedKept(row.rank, row.kept))
    return copies


def _contents(connection: sa.Connection, hashes: Sequence[str]) -> Iterator[ArchivedContent]:
    found = contents_of(connection, hashes)
    for row in map(found.__getitem__, hashes):
        yield ArchivedContent(
            row.sha256, row.format, dict[str, Any](row.header), row.problem, row.tensors, row.autov1, row.blake3
        )
