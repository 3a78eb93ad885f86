"""Images of source records: which are still to be taken for contents, and which are kept for records without one."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, below, upsert
from modelkeep.catalogue.store.images import images_of_all
from modelkeep.catalogue.store.unattached import orphan_ids
from modelkeep.catalogue.tables import record_images, record_targets, source_records, taken_images
from modelkeep.domain.header_images import image_in
from modelkeep.domain.knowledge import ImageRank
from modelkeep.domain.source_images import KeptFile, UnkeptImage, WantedImage, embedded_name

_THUMBNAIL = list(ImageRank).index(ImageRank.THUMBNAIL)


def wanted_images(connection: sa.Connection, limit: int) -> list[WantedImage]:
    """Return images that are to be taken for contents, those of one content in the order in which it gets them."""
    columns = (
        record_targets.c.sha256,
        record_images.c.path,
        source_records.c.digest,
        record_images.c.kept,
        record_images.c.rank,
        source_records.c.key,
    )
    is_taken = sa.exists().where(
        taken_images.c.sha256 == record_targets.c.sha256,
        taken_images.c.path == record_images.c.path,
        taken_images.c.record_digest == source_records.c.digest,
    )
    query = (
        sa.select(*columns)
        .select_from(
            record_images.join(source_records, source_records.c.id == record_images.c.record_id).join(
                record_targets, record_targets.c.record_id == record_images.c.record_id
            )
        )
        .where(record_targets.c.sha256 != "", sa.not_(is_taken), sa.not_(source_records.c.dropped))
        .distinct()
        .order_by(record_targets.c.sha256, record_images.c.rank, record_images.c.path)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    return [
        WantedImage(
            row.sha256,
            row.path,
            row.digest,
            row.kept,
            row.rank == _THUMBNAIL,
            _embedded(connection, row.key, row.digest, embedded_name(row.key, row.path)),
        )
        for row in rows
    ]


def _embedded(connection: sa.Connection, key: str, digest: str, name: str) -> bytes | None:
    """Return the image that stands in a record under a name, empty when none does; None where there is no name."""
    columns = source_records.c
    query = sa.select(columns.raw_json).where(columns.key == key, columns.digest == digest).limit(1)
    return image_in(json.loads(connection.execute(query).scalar_one()).get(name)) if name else None


def taken_digests(connection: sa.Connection, sha256: str) -> set[str]:
    """Return the digests of the images that a content has, or had from records before."""
    query = sa.select(taken_images.c.digest).where(taken_images.c.sha256 == sha256, taken_images.c.digest != "")
    held = images_of_all(connection, [sha256]).get(sha256, [])
    return {*connection.execute(query).scalars(), *(image.source_digest for image in held)}


def note_taken(connection: sa.Connection, image: WantedImage, digest: str, reason: str = "") -> str:
    """Record that an image was taken for a content, or why not; returns the base name of a copy that may go now."""
    row = {"sha256": image.sha256, "path": image.path, "record_digest": image.record_digest}
    connection.execute(upsert(taken_images), {**row, "digest": digest, "reason": reason})
    if not image.kept or reason:
        return ""
    connection.execute(sa.update(record_images).where(record_images.c.kept == image.kept).values(kept=""))
    return image.kept


def unkept_images(connection: sa.Connection) -> list[UnkeptImage]:
    """Return the images of records without a model of which no copy is kept yet; those within a record are."""
    is_attached = sa.exists().where(
        record_targets.c.record_id == record_images.c.record_id, record_targets.c.sha256 != ""
    )
    joined = record_images.join(source_records, source_records.c.id == record_images.c.record_id)
    columns = (record_images.c.record_id, record_images.c.path, source_records.c.key)
    query = sa.select(*columns).select_from(joined).where(record_images.c.kept == "", sa.not_(is_attached))
    rows = connection.execute(query.order_by(record_images.c.record_id)).all()
    orphans = set(orphan_ids(connection, sorted({row.record_id for row in rows}))) if rows else set()
    files = (row for row in rows if row.record_id in orphans and not embedded_name(row.key, row.path))
    return [UnkeptImage(row.record_id, row.path) for row in files]


def keep_image(connection: sa.Connection, image: UnkeptImage, name: str) -> None:
    """Record under which base name the copy of an image lies."""
    chosen = sa.and_(record_images.c.record_id == image.record_id, record_images.c.path == image.path)
    connection.execute(sa.update(record_images).where(chosen).values(kept=name))


def kept_names(connection: sa.Connection) -> set[str]:
    """Return the base names of all copies that are kept of images of records without a model."""
    return set(connection.execute(sa.select(record_images.c.kept).where(record_images.c.kept != "")).scalars())


def files_in(connection: sa.Connection, folders: Sequence[str]) -> list[KeptFile]:
    """Return what is kept of the files in these folders that records were read from, and that are not gone."""
    columns = [source_records.c[name] for name in ("id", "kind", "key", "file_bytes", "file_mtime_ns")]
    is_there = sa.and_(source_records.c.file_bytes.is_not(None), sa.not_(source_records.c.gone))
    rows = connection.execute(sa.select(*columns).where(among(source_records.c.folder, folders), is_there)).all()
    named: dict[int, set[str]] = {}
    targets = sa.select(record_targets.c.record_id, record_targets.c.path).where(record_targets.c.path != "")
    ids = [row.id for row in rows]
    for record_id, path in connection.execute(targets.where(among(record_targets.c.record_id, ids))) if ids else ():
        named.setdefault(record_id, set()).add(path)
    return [
        KeptFile(row.id, row.kind, row.key, row.file_bytes, row.file_mtime_ns, tuple(sorted(named.get(row.id, ()))))
        for row in rows
    ]


def folders_below(connection: sa.Connection, folder: str) -> list[str]:
    """Return the folders below one, itself included, of whose files records are kept that are not gone."""
    column = source_records.c.folder
    inside = sa.or_(column == folder.rstrip("/"), below(column, folder))
    query = sa.select(column).where(inside, sa.not_(source_records.c.gone)).distinct()
    return list(connection.execute(query).scalars())
