"""Looking through the library reads an index with the texts in it, not the whole table."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TEXTS = (
    "(name || char(10) || path || char(10)"
    " || iif(json_valid(meta_json), coalesce(json_extract(meta_json, '$.description'), ''), ''))"
)


def upgrade() -> None:
    """Add the index."""
    columns = ["sha256", "name", "type", "created_at", "size_bytes"]
    op.create_index("ix_models_browsing", "models", [sa.text("name COLLATE NOCASE"), *columns, sa.text(_TEXTS)])
