"""Alembic's entry: migrations run on the connection that `migrate` hands over."""

from alembic import context

from stepwell_hub.catalog.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew.
)
with context.begin_transaction():
    context.run_migrations()
