"""Rows of images, and of those that could not be used."""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, upsert
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.tables import images, refused_pictures
from modelkeep.domain.details import RefusedImage
from modelkeep.domain.images import parse_image_name
from modelkeep.domain.values import ImageRow, RenderedImage

_ROWS = RowsOf(images, ImageRow)
_REFUSED = RowsOf(refused_pictures, RefusedImage)
_PUT, _REFUSE = Bulk(upsert(images)), Bulk(upsert(refused_pictures))
_SELECT = sa.select(*_ROWS.columns).order_by(images.c.seq)


def images_of(connection: sa.Connection, sha256: str) -> list[ImageRow]:
    """Return a model's images in their sequence."""
    return images_of_all(connection, [sha256]).get(sha256, [])


def images_of_all(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[ImageRow]]:
    """Return the images of each of these models in their sequence."""
    found: dict[str, list[ImageRow]] = {}
    for row in connection.execute(_SELECT.where(among(images.c.sha256, hashes))).all():
        found.setdefault(row.sha256, []).append(ImageRow(*row))
    return found


def image_values(sha256: str, seq: int, image: RenderedImage) -> dict[str, object]:
    """Return the columns of an image's row."""
    return _ROWS.row(ImageRow(sha256, seq, image.width, image.height, image.source_digest))


def put_image(connection: sa.Connection, sha256: str, seq: int, image: RenderedImage) -> None:
    """Write an image's row, in the place of one of the same sequence number."""
    put_images(connection, [image_values(sha256, seq, image)])


def put_images(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of images, each in the place of one of the same content and sequence number."""
    _PUT.run(connection, rows)


def put_image_rows(connection: sa.Connection, rows: Sequence[ImageRow]) -> None:
    """Write images, each in the place of one of the same content and sequence number."""
    put_images(connection, [_ROWS.row(row) for row in rows])


def named_images(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of these base names of published files that an image's row stands for."""
    parsed = {name: parse_image_name(name) for name in names}
    hashes = sorted({image[0] for image in parsed.values() if image})
    rows = {(row.sha256, row.seq) for known in images_of_all(connection, hashes).values() for row in known}
    return {name for name, image in parsed.items() if image and image[:2] in rows}


def refuse_images(connection: sa.Connection, refused: Sequence[RefusedImage], now_ms: int) -> None:
    """Record pending rows' images that could not be used; their originals stay where they are."""
    rows = [{**_REFUSED.row(image), "created_at": now_ms} for image in refused]
    _REFUSE.run(connection, rows)


def refused_of(connection: sa.Connection, sha256: str) -> list[RefusedImage]:
    """Return a model's images that could not be used."""
    query = sa.select(*_REFUSED.columns)
    return [RefusedImage(*row) for row in connection.execute(query.where(refused_pictures.c.sha256 == sha256))]


def refused_names(connection: sa.Connection) -> set[str]:
    """Return the base names of all images that could not be used."""
    return set(connection.execute(sa.select(refused_pictures.c.file)).scalars())
