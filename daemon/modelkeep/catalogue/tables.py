"""The catalogue's tables (SQLAlchemy Core). Columns named in the product's description are a contract with others.

Times are milliseconds since 1970, sizes bytes; absent text is the empty text, never NULL.
"""

from typing import Any

import sqlalchemy as sa

from modelkeep.catalogue.columns import Id, Nanoseconds, PathText, Unsigned64
from modelkeep.catalogue.dialect import BY_KEY, IDS_ONCE, index_filled, index_where, json_member, unique_where

metadata = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, PathText, nullable=False, server_default="", **options)


def _number(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0", **options)


FINGERPRINTS = "ix_locations_inode"
BROWSING = "ix_models_browsing"
MODEL_TEXTS: sa.ColumnElement[str] = sa.literal_column(
    f"(name || char(10) || path || char(10) || {json_member('meta_json', 'description')})", PathText()
)
"""What words are looked for in. An index holds it, which is used where a query spells it the same way."""


def _json(name: str, empty: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=empty)


models = sa.Table(
    "models",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    _text("path", index=True),
    _text("name", index=True),
    _text("type", index=True),
    _text("base"),
    _number("size_bytes"),
    _number("created_at", index=True),
    _number("last_used_at"),
    sa.Column("meta_json", sa.Text, nullable=False, server_default="{}"),
    # All that looking through the library asks for: the table itself is several times larger.
    sa.Index(
        BROWSING, sa.text("name COLLATE NOCASE"), "sha256", "name", "type", "created_at", "size_bytes", MODEL_TEXTS
    ),
)

# What files say besides their SHA-256. A content is known from the moment it was read, before it is a model.
contents = sa.Table(
    "contents",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("format", sa.String(16), nullable=False, server_default=""),
    # SHA-256 of all behind the header: empty where there is nothing, NULL where it was not computed yet.
    sa.Column("tensors", sa.String(64)),
    sa.Column("autov1", sa.String(8), nullable=False, server_default="", index=True),
    sa.Column("blake3", sa.String(64), nullable=False, server_default=""),
    # The content of the same tensors that has taken over what is known of this one.
    sa.Column("heir", sa.String(64), nullable=False, server_default=""),
    # There is an image in its header that was not looked at yet.
    sa.Column("image_waits", sa.Boolean, nullable=False, server_default=sa.false()),
    # What its header says, within bounds, and why that is not all of it.
    _text("problem"),
    sa.Column("header_json", sa.Text, nullable=False, server_default="{}"),
    # Most contents have neither, and a tree that holds all of them costs each another page.
    index_filled("ix_contents_tensors", "tensors"),
    index_filled("ix_contents_blake3", "blake3"),
    index_where("ix_contents_image_waits", "image_waits"),
    **BY_KEY,
)

tags = sa.Table(
    "tags",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", PathText, nullable=False, unique=True),
    _text("color"),
    _number("created_at"),
    **IDS_ONCE,
)

model_tags = sa.Table(
    "model_tags",
    metadata,
    sa.Column("model_hash", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
    **BY_KEY,
)

pending_import = sa.Table(
    "pending_import",
    metadata,
    # An id is the name of an image on disk and of a story in the journal, so it is never used twice.
    sa.Column("id", Id, primary_key=True),
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
    **IDS_ONCE,
)

pending_model_tags = sa.Table(
    "pending_model_tags",
    metadata,
    sa.Column("model_id", sa.ForeignKey("pending_import.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True),
    **BY_KEY,
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
    sa.Index(FINGERPRINTS, "inode", "size_bytes", "mtime_ns"),
    index_where("ix_locations_claimed", "claimed"),
    index_where("ix_locations_doubted", "doubted"),
    **BY_KEY,
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("source_digest", sa.String(64), nullable=False),
    **BY_KEY,
)

refused_pictures = sa.Table(
    "refused_pictures",
    metadata,
    sa.Column("file", PathText, primary_key=True),
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), nullable=False, index=True),
    _text("reason"),
    _number("created_at"),
    **BY_KEY,
)

migrations = sa.Table(
    "migrations",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    _number("committed_at"),
    # What is left to do after the commit, should the journal's record of the plan be damaged.
    sa.Column("plan_json", sa.Text, nullable=False, server_default="{}"),
    **BY_KEY,
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
    **BY_KEY,
)

source_records = sa.Table(
    "source_records",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("key", PathText, nullable=False, index=True),
    _text("folder", index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    _text("stem"),
    _text("original_path"),
    _number("size_bytes"),
    sa.Column("standing", sa.String(16), nullable=False, server_default="answer"),
    _number("updated_at"),
    _json("meaning_json", "{}"),
    _json("owned_json", "[]"),
    _json("raw_json", "{}"),
    _json("claims_json", "[]"),
    _json("images_json", "[]"),
    _json("remarks_json", "[]"),
    # Of the file that it was read from, so that one that is the same is not read again; NULL where there is none.
    sa.Column("file_bytes", sa.BigInteger),
    sa.Column("file_mtime_ns", Nanoseconds),
    _number("first_seen"),
    _number("last_seen"),
    # Its file, or row, is there no more; what it says stays.
    sa.Column("gone", sa.Boolean, nullable=False, server_default=sa.false()),
    # The owner does not want it.
    sa.Column("dropped", sa.Boolean, nullable=False, server_default=sa.false()),
    # The texts of it that the owner was asked about: each is asked about once.
    _json("asked_json", "[]"),
    # The versions that it tells of, where it does not say which the content is.
    _json("versions_json", "[]"),
    unique_where("ix_source_records_present", "NOT gone", "key", "kind"),
    **IDS_ONCE,
)

knowledge = sa.Table(
    "knowledge",
    metadata,
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    # What its records last gave to the model.
    _json("base_json", "{}"),
    **BY_KEY,
)

record_targets = sa.Table(
    "record_targets",
    metadata,
    sa.Column("record_id", sa.ForeignKey("source_records.id", ondelete="CASCADE"), primary_key=True),
    # Where the model's file lies that the record speaks of; empty where a hash or the owner says which content it is.
    sa.Column("path", PathText, primary_key=True, index=True),
    # The content that the record is attached to; empty while it waits for the file to be read.
    sa.Column("sha256", sa.String(64), primary_key=True, index=True),
    sa.Column("how", sa.String(16), nullable=False, server_default="beside"),
    **BY_KEY,
)

record_claims = sa.Table(
    "record_claims",
    metadata,
    sa.Column("record_id", sa.ForeignKey("source_records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(128), primary_key=True, index=True),
    # What the file was when it was made of it, for claims of grade A; NULL for all others.
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("mtime_ns", Nanoseconds),
    **BY_KEY,
)

record_images = sa.Table(
    "record_images",
    metadata,
    sa.Column("record_id", sa.ForeignKey("source_records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("path", PathText, primary_key=True),
    _number("rank"),
    # Base name of its copy in images/pending, while the record has no model.
    _text("kept"),
    **BY_KEY,
)

taken_images = sa.Table(
    "taken_images",
    metadata,
    # An image is taken for a content once, as the record of this digest had it: what the owner removes stays away.
    sa.Column("sha256", sa.ForeignKey("models.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("path", PathText, primary_key=True),
    sa.Column("record_digest", sa.String(64), primary_key=True, server_default=""),
    sa.Column("digest", sa.String(64), nullable=False, server_default=""),
    _text("reason"),
    **BY_KEY,
)

daemon_state = sa.Table(
    "daemon_state",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    **BY_KEY,
)
