"""Models in the order of their dates are found without reading the texts of all."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the index."""
    op.create_index(op.f("ix_models_created_at"), "models", ["created_at"], unique=False)
