"""What was said of a file with a claimed hash stays with its location until the file has been read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("locations", sa.Column("said_json", sa.Text(), server_default="[]", nullable=False))
