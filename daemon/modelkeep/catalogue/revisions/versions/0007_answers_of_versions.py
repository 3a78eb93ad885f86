"""Records keep the versions that they tell of."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; files that tell of versions are read again, for these were not kept."""
    op.add_column("source_records", sa.Column("versions_json", sa.Text(), server_default="[]", nullable=False))
    op.execute(
        "UPDATE source_records SET file_mtime_ns = -1"
        " WHERE file_mtime_ns IS NOT NULL AND (instr(raw_json, '\"modelVersions\"') OR instr(raw_json, '\"files\"'))"
    )
