"""All that is known, as an archive holds it."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.store.bulk import all_rows
from modelkeep.catalogue.store.contents import contents_of
from modelkeep.catalogue.store.images import images_of_all
from modelkeep.catalogue.store.locations import locations_of_all
from modelkeep.catalogue.store.models import get_models
from modelkeep.catalogue.store.pending import get_pending_imports
from modelkeep.catalogue.store.records import kept_records
from modelkeep.catalogue.store.tags import list_tags
from modelkeep.catalogue.tables import (
    contents,
    knowledge,
    models,
    record_images,
    record_targets,
    source_records,
    taken_images,
)
from modelkeep.domain.archive import (
    Archive,
    ArchivedContent,
    ArchivedImage,
    ArchivedKept,
    ArchivedLocation,
    ArchivedModel,
    ArchivedRecord,
    ArchivedRow,
    ArchivedTaking,
    ArchivedTarget,
)
from modelkeep.domain.legacy import LegacyTag


def archived(connection: sa.Connection) -> Archive:
    """Return everything that is known, images without their files."""
    return Archive(
        tuple(LegacyTag(tag.name, tag.color, tag.created_at) for tag in list_tags(connection)),
        _models(connection),
        _rows(connection),
        _records(connection),
        _contents(connection),
    )


def _models(connection: sa.Connection) -> tuple[ArchivedModel, ...]:
    hashes = [sha256 for (sha256,) in all_rows(connection, sa.select(models.c.sha256).order_by(models.c.sha256))]
    known, images = get_models(connection, hashes), images_of_all(connection, hashes)
    locations = locations_of_all(connection, hashes)
    said: Mapping[str, str] = dict(all_rows(connection, sa.select(knowledge.c.sha256, knowledge.c.base_json)))
    taken: dict[str, list[ArchivedTaking]] = {}
    for row in connection.execute(sa.select(taken_images).order_by(*taken_images.primary_key)):
        taking = ArchivedTaking(row.path, row.record_digest, row.digest, row.reason)
        taken.setdefault(row.sha256, []).append(taking)
    return tuple(
        ArchivedModel(
            sha256,
            known[sha256].path,
            **known[sha256].description,
            size_bytes=known[sha256].size_bytes,
            last_used_at=known[sha256].last_used_at,
            tags=tuple(sorted(tag.name for tag in known[sha256].tags)),
            locations=tuple(
                ArchivedLocation(each.path, each.state, each.claimed, each.first_seen, each.last_seen)
                for each in locations.get(sha256, [])
            ),
            images=tuple(
                ArchivedImage(image.seq, image.width, image.height, image.source_digest)
                for image in images.get(sha256, ())
            ),
            said=json.loads(said.get(sha256, "{}")),
            taken=tuple(taken.get(sha256, ())),
        )
        for sha256 in hashes
    )


def _rows(connection: sa.Connection) -> tuple[ArchivedRow, ...]:
    return tuple(
        ArchivedRow(
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
        for row in get_pending_imports(connection)
    )


def _records(connection: sa.Connection) -> tuple[ArchivedRecord, ...]:
    ids = list(connection.execute(sa.select(source_records.c.id).order_by(source_records.c.id)).scalars())
    targets: dict[int, list[ArchivedTarget]] = {}
    query = sa.select(record_targets).order_by(*record_targets.primary_key)
    for row in connection.execute(query):
        targets.setdefault(row.record_id, []).append(ArchivedTarget(row.path, row.sha256, row.how))
    facts = {
        row.id: row
        for row in connection.execute(
            sa.select(source_records.c.id, source_records.c.file_bytes, source_records.c.file_mtime_ns)
        )
    }
    kept_images: dict[int, list[ArchivedKept]] = {}
    held = sa.select(record_images).where(record_images.c.kept != "").order_by(*record_images.primary_key)
    for row in connection.execute(held):
        kept_images.setdefault(row.record_id, []).append(ArchivedKept(row.rank, row.kept))
    return tuple(
        ArchivedRecord(
            kept.record,
            tuple(targets.get(kept.id, ())),
            kept.gone,
            kept.dropped,
            kept.first_seen,
            kept.last_seen,
            kept.asked,
            facts[kept.id].file_bytes,
            facts[kept.id].file_mtime_ns,
            tuple(kept_images.get(kept.id, ())),
        )
        for kept in kept_records(connection, ids).values()
    )


def _contents(connection: sa.Connection) -> tuple[ArchivedContent, ...]:
    hashes = list(connection.execute(sa.select(contents.c.sha256).order_by(contents.c.sha256)).scalars())
    return tuple(
        ArchivedContent(
            row.sha256, row.format, dict[str, Any](row.header), row.problem, row.tensors, row.autov1, row.blake3
        )
        for row in contents_of(connection, hashes).values()
    )
