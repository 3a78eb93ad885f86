"""The catalogue's tables (SQLAlchemy Core). Columns named in the product's description are a contract with others.

Times are milliseconds since 1970, sizes bytes; absent text is the empty text, never NULL.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from modelkeep.domain.values import told_ns

_BASE = 0x10FF00
_MARK = chr(0x10FF7F)
"""Bytes of names that are no UTF-8 are stored as the private-use characters U+10FF80 to U+10FFFF: SQLite text cannot
hold the surrogates by which Python spells them, and a path has to come back exactly as it was. A character of a name
that happens to be one of these, or the mark itself, is stored as the mark and a plain character."""

_UNSTORABLE = re.compile("[\udc80-\udcff\U0010ff7f-\U0010ffff]")
_STORED = re.compile("\U0010ff7f(.)|([\U0010ff80-\U0010ffff])", re.DOTALL)


def storable_path(path: str) -> str:
    """Return a path as SQLite text can hold it; no two paths become the same."""
    return path if path.isascii() else _UNSTORABLE.sub(_store, path)


def restored_path(text: str) -> str:
    """Undo `storable_path`."""
    return text if text.isascii() else _STORED.sub(_restore, text)


def _store(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(_BASE + code - 0xDC00) if code < _BASE else _MARK + chr(code - _BASE)


def _restore(match: re.Match[str]) -> str:
    return chr(_BASE + ord(match[1])) if match[1] else chr(ord(match[2]) - _BASE + 0xDC00)


class PathText(TypeDecorator[str]):
    """A path, or text that may quote one, of whatever bytes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - interface
        """Make it storable."""
        return None if value is None else storable_path(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - interface
        """Give it back as it was."""
        return None if value is None else restored_path(value)


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit number (inodes, device numbers) in SQLite's signed one."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Wrap it into the signed range."""
        return value - (1 << 64) if value is not None and value >= 1 << 63 else value

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Give it back unsigned."""
        return value + (1 << 64) if value is not None and value < 0 else value


class Nanoseconds(TypeDecorator[int]):
    """A file's time in nanoseconds since 1970, in SQLite's signed 64 bits.

    They end in 2262, ext4's dates in 2446: what lies beyond is wrapped around to before any file system's past, as
    `domain.values.told_ns` does with dates beyond all bounds.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Wrap it into the signed range."""
        return None if value is None else signed(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - interface
        """Give it back as it was."""
        return None if value is None else told_ns(value)


def signed(number: int) -> int:
    """Return a number of 64 bits as SQLite holds it, whatever its sign is meant to be."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


metadata = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, PathText, nullable=False, server_default="", **options)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


models = sa.Table(
    "models",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    _text("path", index=True),
    _text("name", index=True),
    _text("type", index=True),
    _text("base"),
    _number("size_bytes"),
    _number("created_at"),
    _number("last_used_at"),
    sa.Column("meta_json", sa.Text, nullable=False, server_default="{}"),
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", PathText, nullable=False, unique=True),
    _text("color"),
    _number("created_at"),
    sqlite_autoincrement=True,
)

model_tags = sa.Table(
    "model_tags",
    metadata,
    sa.Column("model_hash", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

pending_import = sa.Table(
    "pending_import",
    metadata,
    # AUTOINCREMENT: an id is the name of a picture on disk and of a story in the journal, so it is never used twice.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", PathText, nullable=False, unique=True),
    _text("sha256", index=True),
    _text("name"),
    _text("type"),
    _text("base"),
    _number("size_bytes"),
    _number("created_at"),
    sa.Column("meta_json", sa.Text, nullable=False, server_default="{}"),
    _text("source"),
    sa.Column("state", sa.String(16), nullable=False, server_default="waiting"),
    _number("attempts"),
    _number("due_at"),
    _text("last_error"),
    _text("image"),
    # Whether `sha256` is what its file was read to be, and no claim.
    sa.Column("verified", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_pending_import_state_due_at", "state", "due_at"),
    sqlite_autoincrement=True,
)

pending_model_tags = sa.Table(
    "pending_model_tags",
    metadata,
    sa.Column("model_id", sa.ForeignKey("pending_import.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

locations = sa.Table(
    "locations",
    metadata,
    sa.Column("path", PathText, primary_key=True),
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("device", Unsigned64),
    sa.Column("inode", Unsigned64),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("mtime_ns", Nanoseconds),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("claimed", sa.Boolean, nullable=False, server_default=sa.false()),
    _number("first_seen"),
    _number("last_seen"),
    sa.Column("ctime_ns", Nanoseconds),
    sa.Column("birth_ns", Nanoseconds),
    sa.Column("doubted", sa.Boolean, nullable=False, server_default=sa.false()),
    # What older databases said of its file with hashes that it was not read for yet: a list of objects.
    sa.Column("said_json", sa.Text, nullable=False, server_default="[]"),
    sa.Index("ix_locations_inode", "inode", "size_bytes", "mtime_ns"),
    sa.Index("ix_locations_claimed", "claimed", sqlite_where=sa.text("claimed")),
    sa.Index("ix_locations_doubted", "doubted", sqlite_where=sa.text("doubted")),
    sqlite_with_rowid=False,
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("source_digest", sa.String(64), nullable=False),
    sqlite_with_rowid=False,
)

refused_pictures = sa.Table(
    "refused_pictures",
    metadata,
    sa.Column("file", PathText, primary_key=True),
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), nullable=False, index=True),
    _text("reason"),
    _number("created_at"),
    sqlite_with_rowid=False,
)

migrations = sa.Table(
    "migrations",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    _number("committed_at"),
    # What is left to do after the commit, should the journal's record of the plan be damaged.
    sa.Column("plan_json", sa.Text, nullable=False, server_default="{}"),
    sqlite_with_rowid=False,
)

imported_rows = sa.Table(
    "imported_rows",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("source", PathText, primary_key=True),
    sa.Column("row_key", PathText, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    _text("path"),
    sa.Column("sha256", sa.String(64), nullable=False, server_default=""),
    _number("pending_id"),
    sqlite_with_rowid=False,
)

daemon_state = sa.Table(
    "daemon_state",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)


def below(column: sa.Column[str], folder: str) -> sa.ColumnElement[bool]:
    """Return the condition that a path lies below a folder."""
    # A range instead of LIKE: it uses the index and knows no wild cards. "0" is the character after "/".
    prefix = folder.rstrip("/")
    return sa.and_(column > prefix + "/", column < prefix + "0")
