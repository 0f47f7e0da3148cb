"""What Alembic runs before the migrations: they happen in the transaction of whoever called it."""

from alembic import context

from proxy.database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
