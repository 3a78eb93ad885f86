"""What files say besides their SHA-256: header, digests of other tools, and who has taken over what is known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table; what is in the files already known is read when nothing else is to do."""
    op.create_table(
        "contents",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("format", sa.String(16), server_default="", nullable=False),
        sa.Column("tensors", sa.String(64), nullable=True),
        sa.Column("autov1", sa.String(8), server_default="", nullable=False),
        sa.Column("blake3", sa.String(64), server_default="", nullable=False),
        sa.Column("heir", sa.String(64), server_default="", nullable=False),
        sa.Column("image_waits", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("header_json", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
        sqlite_with_rowid=False,
    )
    for column in ("tensors", "autov1", "blake3"):
        op.create_index(f"ix_contents_{column}", "contents", [column], unique=False)
    op.create_index("ix_contents_image_waits", "contents", ["image_waits"], sqlite_where=sa.text("image_waits"))
