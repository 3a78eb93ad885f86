"""Rows of pictures, and of those that could not be used."""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import chunks, upsert
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.tables import images, refused_pictures
from modelkeep.domain.details import RefusedPicture
from modelkeep.domain.pictures import parse_picture_name
from modelkeep.domain.values import ImageRow, RenderedPicture

_ROWS = RowsOf(images, ImageRow)
_REFUSED = RowsOf(refused_pictures, RefusedPicture)
_SELECT = sa.select(*_ROWS.columns).order_by(images.c.seq)


def images_of(connection: sa.Connection, sha256: str) -> list[ImageRow]:
    """Return a model's pictures in their sequence."""
    return images_of_all(connection, [sha256]).get(sha256, [])


def images_of_all(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, list[ImageRow]]:
    """Return the pictures of each of these models in their sequence."""
    found: dict[str, list[ImageRow]] = {}
    for some in chunks(hashes):
        for row in connection.execute(_SELECT.where(images.c.sha256.in_(some))):
            found.setdefault(row.sha256, []).append(ImageRow(*row))
    return found


def image_values(sha256: str, seq: int, picture: RenderedPicture) -> dict[str, object]:
    """Return the columns of a picture's row."""
    return _ROWS.row(ImageRow(sha256, seq, picture.width, picture.height, picture.source_digest))


def put_image(connection: sa.Connection, sha256: str, seq: int, picture: RenderedPicture) -> None:
    """Write a picture's row, in the place of one of the same sequence number."""
    put_images(connection, [image_values(sha256, seq, picture)])


def put_images(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of pictures, each in the place of one of the same content and sequence number."""
    if rows:
        connection.execute(upsert(images), list(rows))


def put_image_rows(connection: sa.Connection, rows: Sequence[ImageRow]) -> None:
    """Write pictures, each in the place of one of the same content and sequence number."""
    put_images(connection, [_ROWS.row(row) for row in rows])


def named_pictures(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Return those of these base names of published files that a picture's row stands for."""
    parsed = {name: parse_picture_name(name) for name in names}
    hashes = sorted({picture[0] for picture in parsed.values() if picture})
    rows = {(row.sha256, row.seq) for known in images_of_all(connection, hashes).values() for row in known}
    return {name for name, picture in parsed.items() if picture and picture[:2] in rows}


def refuse_pictures(connection: sa.Connection, refused: Sequence[RefusedPicture], now_ms: int) -> None:
    """Note pending rows' pictures that could not be used; their originals stay where they are."""
    if refused:
        rows = [{**_REFUSED.row(picture), "created_at": now_ms} for picture in refused]
        connection.execute(upsert(refused_pictures), rows)


def refused_of(connection: sa.Connection, sha256: str) -> list[RefusedPicture]:
    """Return a model's pictures that could not be used."""
    query = sa.select(*_REFUSED.columns)
    return [RefusedPicture(*row) for row in connection.execute(query.where(refused_pictures.c.sha256 == sha256))]


def refused_names(connection: sa.Connection) -> set[str]:
    """Return the base names of all pictures that could not be used."""
    return set(connection.execute(sa.select(refused_pictures.c.file)).scalars())
