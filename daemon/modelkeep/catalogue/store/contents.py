"""What is kept of the bytes of contents: headers, and the digests by which other tools know them."""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from modelkeep.catalogue.dialect import among, begins_with, holds, insert_missing, is_filled
from modelkeep.catalogue.store.bulk import Bulk
from modelkeep.catalogue.store.rows import RowsOf
from modelkeep.catalogue.tables import contents, locations, models
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.values import LocationState

OTHER_DIGITS_MIN = 8
"""So many digits of a digest tell one content from others."""

_ROWS = RowsOf(contents, ContentRow)
_SELECT = sa.select(*_ROWS.columns)
_ADD = Bulk(insert_missing(contents))
_READ = ("format", "header_json", "problem", "tensors", "autov1")
"""What reading a file tells of its content: it counts more than what an archive said."""

_COMPLETE = (
    sa.update(contents)
    .where(contents.c.sha256 == sa.bindparam("b_sha256"))
    .values({name: sa.bindparam(f"b_{name}", type_=contents.c[name].type) for name in _READ})
)


def keep_contents(connection: sa.Connection, read: Sequence[ContentRow]) -> list[str]:
    """Keep what was read of contents; of those that are known already, a digest that was not computed then.

    Returns:
        Those of them whose tensors another content has too.
    """
    if not read:
        return []
    known = contents_of(connection, [row.sha256 for row in read])
    _ADD.run_columns(connection, _ROWS.columns_of(row for row in read if row.sha256 not in known))
    late = [row for row in read if row.tensors is not None and row.sha256 in known]
    rows = [_ROWS.row(row) for row in late if known[row.sha256].tensors is None]
    values = [{f"b_{name}": row[name] for name in ("sha256", *_READ)} for row in rows]
    if values:
        connection.execute(_COMPLETE, values)
    return _of_known_tensors(connection, read)


def _of_known_tensors(connection: sa.Connection, read: Sequence[ContentRow]) -> list[str]:
    digests = {row.tensors for row in read if row.tensors}
    query = sa.select(contents.c.tensors, contents.c.sha256).where(
        is_filled(contents.c.tensors), among(contents.c.tensors, sorted(digests))
    )
    holders: dict[str, set[str]] = {}
    for tensors, sha256 in connection.execute(query) if digests else ():
        holders.setdefault(tensors, set()).add(sha256)
    return [row.sha256 for row in read if row.tensors and len(holders[row.tensors]) > 1]


def content_of(connection: sa.Connection, sha256: str) -> ContentRow | None:
    """Return what is kept of a content."""
    return contents_of(connection, [sha256]).get(sha256)


def contents_of(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, ContentRow]:
    """Return what is kept of each of these contents."""
    found = _ROWS.select(connection, _SELECT.where(among(contents.c.sha256, hashes)))
    return dict(zip(found["sha256"], _ROWS.values(found), strict=True))


def keep_blake3(connection: sa.Connection, sha256: str, digest: str) -> None:
    """Keep the BLAKE3 that a content was read to have."""
    _ADD.run(connection, [_ROWS.row(ContentRow(sha256, tensors=None))])
    connection.execute(sa.update(contents).where(contents.c.sha256 == sha256).values(blake3=digest))


def waiting_header_images(connection: sa.Connection, limit: int, after: str = "") -> list[str]:
    """Return contents in whose header an image was not looked at yet, and which are models with a file."""
    present = sa.exists().where(locations.c.sha256 == contents.c.sha256, locations.c.state == LocationState.PRESENT)
    query = sa.select(contents.c.sha256).join(models, models.c.sha256 == contents.c.sha256)
    # Spelled as the index has it, and in no order: "= 1" and ORDER BY have every content read.
    waiting = connection.execute(query.where(sa.text("contents.image_waits"), present)).scalars()
    return sorted(sha256 for sha256 in waiting if sha256 > after)[:limit]


def settle_header_image(connection: sa.Connection, sha256: str) -> None:
    """Record that the image in a content's header was looked at."""
    connection.execute(sa.update(contents).where(contents.c.sha256 == sha256).values(image_waits=False))


def forget_content(connection: sa.Connection, sha256: str) -> None:
    """Forget what is kept of a content."""
    connection.execute(sa.delete(contents).where(contents.c.sha256 == sha256))


def has_digest(digits: str) -> sa.ColumnElement[bool]:
    """Return the condition that a model's content has a digest that begins so, of whichever kind."""
    columns = (contents.c.tensors, contents.c.autov1, contents.c.blake3)
    begins = sa.or_(*(sa.and_(is_filled(column), begins_with(column, digits)) for column in columns))
    return models.c.sha256.in_(sa.select(contents.c.sha256).where(begins))


def says(text: str) -> sa.ColumnElement[bool]:
    """Return the condition that the header of a model's file has this in it."""
    spelled = json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace").decode()
    return models.c.sha256.in_(sa.select(contents.c.sha256).where(holds(contents.c.header_json, spelled)))
