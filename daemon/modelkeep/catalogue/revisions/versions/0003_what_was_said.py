"""What was said of a file stays with its claimed location until it is read; what it was read to be, with its row."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("locations", sa.Column("said_json", sa.Text(), server_default="[]", nullable=False))
    op.add_column("pending_import", sa.Column("verified", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    # A row is in conflict only after its file was read, and holds the hash since.
    op.execute("UPDATE pending_import SET verified = 1 WHERE state = 'conflict' AND sha256 != ''")
