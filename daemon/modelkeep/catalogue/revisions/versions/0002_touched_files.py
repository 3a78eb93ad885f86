"""When a file was made and touched last. What is known stays; the times are filled in when the files are seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("locations", sa.Column("ctime_ns", sa.BigInteger(), nullable=True))
    op.add_column("locations", sa.Column("birth_ns", sa.BigInteger(), nullable=True))
    op.add_column("locations", sa.Column("doubted", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_locations_doubted", "locations", ["doubted"], unique=False, sqlite_where=sa.text("doubted"))
