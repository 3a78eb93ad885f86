"""Claimed hashes that were made of a file as it was at a moment are found by its path, with what it was then."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_FACTS = (
    "UPDATE record_claims SET (size_bytes, mtime_ns) = ("
    "SELECT json_extract(claim.value, '$.size_bytes'), json_extract(claim.value, '$.mtime_ns')"
    " FROM source_records, json_each(source_records.claims_json) AS claim"
    " WHERE source_records.id = record_claims.record_id AND json_extract(claim.value, '$.grade') = 'A'"
    " AND json_extract(claim.value, '$.kind') = record_claims.kind"
    " AND json_extract(claim.value, '$.value') = record_claims.value LIMIT 1)"
)


def upgrade() -> None:
    """Add the columns; sidecars of SwarmUI are read again, for the images in them were not taken."""
    op.add_column("record_claims", sa.Column("size_bytes", sa.BigInteger(), nullable=True))
    op.add_column("record_claims", sa.Column("mtime_ns", sa.BigInteger(), nullable=True))
    op.execute(_FACTS)
    op.execute("UPDATE source_records SET file_mtime_ns = -1 WHERE kind = 'swarmui' AND file_mtime_ns IS NOT NULL")
