"""Indexes over digests leave out the contents that have none: they are most."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the indexes anew."""
    for column in ("tensors", "blake3"):
        op.drop_index(f"ix_contents_{column}", "contents")
        op.create_index(f"ix_contents_{column}", "contents", [column], sqlite_where=sa.text(f"{column} <> ''"))
