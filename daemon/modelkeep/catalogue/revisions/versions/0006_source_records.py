"""What other tools know of models: their records, of which models they speak, what they claim, and their images."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "source_records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("stem", sa.Text(), server_default="", nullable=False),
        sa.Column("original_path", sa.Text(), server_default="", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("standing", sa.String(length=16), server_default="answer", nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("meaning_json", sa.Text(), server_default="{}", nullable=False),
        sa.Column("owned_json", sa.Text(), server_default="[]", nullable=False),
        sa.Column("raw_json", sa.Text(), server_default="{}", nullable=False),
        sa.Column("claims_json", sa.Text(), server_default="[]", nullable=False),
        sa.Column("images_json", sa.Text(), server_default="[]", nullable=False),
        sa.Column("remarks_json", sa.Text(), server_default="[]", nullable=False),
        sa.Column("file_bytes", sa.BigInteger(), nullable=True),
        sa.Column("file_mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("first_seen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_seen", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("asked_json", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_source_records_present",
        "source_records",
        ["key", "kind"],
        unique=True,
        sqlite_where=sa.text("NOT gone"),
    )
    for column in ("key", "folder"):
        op.create_index(op.f(f"ix_source_records_{column}"), "source_records", [column], unique=False)
    op.create_table(
        "knowledge",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("base_json", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["models.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record_targets",
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=16), server_default="beside", nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_records.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "path", "sha256"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_record_targets_path"), "record_targets", ["path"], unique=False)
    op.create_index(op.f("ix_record_targets_sha256"), "record_targets", ["sha256"], unique=False)
    op.create_table(
        "record_claims",
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_records.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "kind", "value"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_record_claims_value"), "record_claims", ["value"], unique=False)
    op.create_table(
        "record_images",
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("kept", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_records.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "path"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "taken_images",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("record_digest", sa.String(length=64), server_default="", nullable=False),
        sa.Column("digest", sa.String(length=64), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["models.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", "path", "record_digest"),
        sqlite_with_rowid=False,
    )
