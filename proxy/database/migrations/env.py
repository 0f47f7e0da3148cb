"""Alembic's environment: migrations run in the transaction of the connection that the caller passed."""

from alembic import context

from proxy.database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
