"""Runs the schema revisions on the connection that `catalogue.upgrade` hands over."""

from alembic import context

from modelkeep.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
