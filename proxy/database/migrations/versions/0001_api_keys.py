"""API keys that were made at run time."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("providers", sa.JSON, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("limits", sa.JSON),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("previous_hash", sa.Text),
        sa.Column("previous_until", sa.Double),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_hash", "api_keys", ["hash"], unique=True)
    op.create_index("ix_api_keys_previous_hash", "api_keys", ["previous_hash"], unique=True)
    op.create_index("ix_api_keys_created_at", "api_keys", ["created_at", "id"])
    op.create_index("ix_api_keys_changed_at", "api_keys", ["changed_at", "id"])


def downgrade() -> None:
    op.drop_table("api_keys")
