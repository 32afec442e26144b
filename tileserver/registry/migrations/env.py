"""Alembic's environment: the connection comes from the caller."""

from alembic import context

from tileserver.registry.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
