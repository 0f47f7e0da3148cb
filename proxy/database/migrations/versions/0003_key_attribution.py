"""To whom the calls of an API key are accounted, beside its owner."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # With defaults of the database, as the former version goes on inserting keys without them.
    for name in ("team", "project"):
        op.add_column("api_keys", sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''")))
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("api_keys", sa.Column("labels", json, nullable=False, server_default=sa.text("'{}'")))


def downgrade() -> None:
    for name in ("labels", "project", "team"):
        op.drop_column("api_keys", name)
